"""What a request names must still name something once it is normalised, whatever the RPC."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from server import assemble
from server.graph.edit import Change, Edit, EditKind
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.settings import Settings
from testbed.bases import BaseTriple, build_base
from tests.rpc.running import ENJOY, Running, running

BLANK = ["_", "___", "\u200b", "...", "…", "?", "\u3164"]
NO_RELATION = ["...", "!!", "1.", "()", '"', "- ", "_", "…", "+", "\u200b", "\u0390" * 32, "r" * 65]
NO_TEXT = ["\x1b]0;title\x07", "a\x00b", "a\x9bb"]


async def refused(client: AsyncClient, call: Awaitable[object], field: str) -> None:
    """The call is refused for `field`, and nothing was kept."""
    with pytest.raises(InvalidArgument) as error:
        await call
    assert list(error.value.fields) == [field]
    assert (await client.list_edits(user="alice")).revision == 0


@pytest.mark.parametrize("relation", NO_RELATION)
async def test_a_relation_that_says_nothing_is_refused(client: AsyncClient, relation: str) -> None:
    triple = ("unit 7", relation, "rule 12")
    await refused(client, client.edit_facts(user="alice", add=[triple]), "add[0].relation")
    await refused(client, client.edit_facts(user="alice", remove=[triple]), "remove[0].relation")
    call = client.personalize(
        user="alice", query=ENJOY, answer="fish", relations=["likes", relation]
    )
    await refused(client, call, "relations[1]")


@pytest.mark.parametrize("name", [*BLANK, *NO_TEXT, "x" * 513, "a\u202eb", "a\u2066b"])
async def test_a_concept_that_is_none_is_refused(client: AsyncClient, name: str) -> None:
    calls: list[tuple[Callable[[], Awaitable[object]], str]] = [
        (lambda: client.edit_facts(user="alice", add=[(name, "likes", "b")]), "add[0].head"),
        (
            lambda: client.edit_facts(
                user="alice", add=[("a", "likes", "b"), ("a", "likes", name)]
            ),
            "add[1].tail",
        ),
        (lambda: client.edit_facts(user="alice", remove=[(name, "likes", "b")]), "remove[0].head"),
        (
            lambda: client.personalize(user="alice", query=ENJOY, answer="fish", subject=name),
            "subject",
        ),
        (
            lambda: client.personalize(user="alice", query=ENJOY, answer="fish", object=name),
            "object",
        ),
        (lambda: client.personalize(user="alice", query=ENJOY, answer=name), "answer"),
        (lambda: client.answer(user="alice", query=ENJOY, subject=name), "subject"),
        (lambda: client.get_neighborhood(user="alice", concept=name), "concept"),
    ]
    for call, field in calls:
        await refused(client, call(), field)


@pytest.mark.parametrize("name", ["C++", "#1", "-18", "👩‍👧", "🐶", "€", "The Who", "n.a.", "²"])
async def test_a_concept_of_letters_digits_or_symbols_is_kept_and_comes_back(
    client: AsyncClient, name: str
) -> None:
    await client.edit_facts(user="alice", add=[("dog", "likes", name), (name, "is a", "thing")])
    lines = [message.line async for message in client.export_overlay(user="alice")]
    await client.import_overlay(user="bob", lines=lines)
    assert [m.line async for m in client.export_overlay(user="bob")] == lines
    assert (await client.get_neighborhood(user="bob", concept=name)).triples


@pytest.mark.parametrize("text", NO_TEXT)
async def test_control_characters_are_refused_in_texts(client: AsyncClient, text: str) -> None:
    await refused(client, client.personalize(user="alice", query=text, answer="fish"), "query")
    await refused(
        client, client.personalize(user="alice", query=ENJOY, answer=text, object="fish"), "answer"
    )
    call = client.personalize(user="alice", query=ENJOY, answer="fish", answer_before=text)
    await refused(client, call, "answer_before")
    await refused(
        client, client.answer(user="alice", query=ENJOY, candidates=["a", text]), "candidates[1]"
    )


async def test_texts_of_several_lines_are_kept(client: AsyncClient) -> None:
    r = await client.personalize(
        user="alice", query=f"{ENJOY}\n\tPlease.", answer="red\nwine", subject="dog"
    )
    assert r.edit.object == "red wine"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\tb", "ali\u200bce", "alice\ufeff", "a\u202eb", "a\x1bb", "a\x85b"]
)
async def test_what_tells_one_from_another_shows_as_a_whole(client: AsyncClient, text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        await client.list_facts(user=text)
    assert list(error.value.fields) == ["user"]
    call = client.edit_facts(user="alice", add=[("a", "likes", "b")], request_id=text)
    await refused(client, call, "request_id")
    await refused(client, client.revert_edit(user="alice", edit_id=text), "edit_id")


@pytest.mark.parametrize(
    "query",
    [
        "ฉันชอบกินอาหารอะไรมากที่สุดในตอนเช้า" * 6,
        "https://example.com/" + "a" * 600,
        "What is " + "x" * 600 + "?",
        "Tell me " + " ".join(letter * 100 for letter in "bcdfghjk"),
    ],
)
async def test_a_subject_too_long_to_keep_is_shorter_or_not_found(
    client: AsyncClient, query: str
) -> None:
    try:
        await client.personalize(user="alice", query=query, answer="fish")
    except InvalidArgument as error:
        assert error.reason == "SUBJECT_NOT_FOUND"
    for edit in (await client.list_edits(user="alice")).edits:
        assert len(edit.subject.encode()) <= 512
    lines = [message.line async for message in client.export_overlay(user="alice")]
    await client.import_overlay(user="bob", lines=lines)


async def test_numbering_and_quotes_do_not_count_in_a_relation(client: AsyncClient) -> None:
    r = await client.edit_facts(user="alice", add=[("a", '1. "' + "r" * 64 + '"...', "b")])
    assert r.edit.added[0].triple.relation == "r" * 64


async def test_an_import_says_the_line_and_repeats_nothing(client: AsyncClient) -> None:
    version = json.dumps({"format": "kgt-overlay", "version": "caviar" * 2_000})
    with pytest.raises(InvalidArgument) as error:
        await client.import_overlay(user="alice", lines=[version, "{}"])
    assert error.value.reason == "MALFORMED_EXPORT"
    assert "line 1" in str(error.value)
    assert "caviar" not in str(error.value)
    with pytest.raises(InvalidArgument) as error:
        await client.import_overlay(user="alice", lines=["[" * 60_000, "{}"])
    assert error.value.reason == "MALFORMED_EXPORT"


# What a read returns, a write understands


OWN = [
    ("Anna", "Owns", "car"),
    ("Anna", "Works_For", "Acme"),
    ("Anna", "likes", "tea"),
    ("Anna", "IsA", "person"),
]


@pytest.mark.parametrize("triple", OWN)
async def test_a_triple_that_a_read_returns_can_be_removed_and_added_to(
    tmp_path: Path, triple: tuple[str, str, str]
) -> None:
    build_base(tmp_path, [BaseTriple(Triple.of(*t)) for t in OWN], Vocabulary.built_in())
    relations = await assemble.vocabulary(Settings(data=tmp_path))
    async with running(tmp_path, vocabulary=relations) as service:
        client = service.client
        viewed = {
            v.triple.tail: v.triple
            for v in (await client.get_neighborhood(user="alice", concept="anna")).triples
        }
        read = viewed[triple[2]]
        r = await client.edit_facts(
            user="alice",
            remove=[(read.head, read.relation, read.tail)],
            add=[(read.head, read.relation, "bike")],
        )
        assert [(c.triple.relation, c.triple.tail) for c in r.edit.added] == [(triple[1], "bike")]
        assert [(c.triple.relation, c.triple.tail) for c in r.edit.removed] == [
            (triple[1], triple[2])
        ]
        lines = [message.line async for message in client.export_overlay(user="alice")]
        await client.import_overlay(user="bob", lines=lines)
        assert [m.line async for m in client.export_overlay(user="bob")] == lines


async def test_relations_that_were_imported_can_be_named(service: Running) -> None:
    client = service.client
    await client.edit_facts(user="alice", add=[("dog", "likes", "tea"), ("dog", "my own", "b")])
    for fact in (await client.list_facts(user="alice")).facts:
        t = fact.triple
        removed: Any = await client.edit_facts(user="alice", remove=[(t.head, t.relation, t.tail)])
        assert len(removed.edit.removed) == 1


async def test_a_moment_beyond_the_year_9999_that_was_kept_before_is_shown_as_its_last(
    service: Running,
) -> None:
    added = Mark(Origin.ADDED, Stamp(1, 0))
    edit = Edit(
        "e",
        1,
        EditKind.IMPORT,
        (1 << 53) - 1,
        (Change(Triple.of("dog", "IsA", "pet"), None, added),),
    )
    await service.store.commit("alice", await service.store.snapshot("alice"), [edit], None)
    (listed,) = (await service.client.list_edits(user="alice")).edits
    (fact,) = (await service.client.list_facts(user="alice")).facts
    assert listed.create_time.ToDatetime().year == fact.create_time.ToDatetime().year == 9999


@pytest.mark.parametrize("user", ["zo\u200bra", "a\x1bb", "\u202ezora"])
async def test_a_user_whose_name_is_refused_today_can_leave(service: Running, user: str) -> None:
    mark = Mark(Origin.ADDED, Stamp(1, 0))
    kept = Edit(
        "e-1", 1, EditKind.FACTS, 1, (Change(Triple.of("dog", "Desires", "tulips"), None, mark),)
    )
    await service.store.commit(
        user, await service.store.snapshot(user), [kept], None
    )  # as an earlier version did
    await refused(
        service.client, service.client.edit_facts(user=user, add=[("a", "likes", "b")]), "user"
    )
    lines = [message.line async for message in service.client.export_overlay(user=user)]
    assert "tulips" in "".join(lines)
    assert (await service.client.erase_user(user=user)).edits == 1
    assert (await service.store.snapshot(user)).revision == 0
    assert user.encode() not in b"".join(
        path.read_bytes() for path in service.store.folder.iterdir()
    )
