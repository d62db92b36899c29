"""A correction holds for queries that ask the same, wherever it came from, and for no others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from kgt.v1 import personalization_pb2 as pb
from server.tuning.templates import root_prompt
from tests.fixed_model import FixedModel
from tests.rpc.running import ENJOY, FEED, LUNA, PHRASES, WHERE, Running, running, say, triples

DRINK = "What do I drink at work?"
ALSO = "At work, what do I drink?"
TEA = "What drink at work do I have?"
"""The same words, so the fixed model's keys are the same, but another relation is needed."""
MODEL_PHRASES = {**PHRASES, DRINK: "likes", ALSO: "likes", TEA: "is located in"}


def facts_of(response: pb.AnswerResponse) -> list[tuple[str, str, str]]:
    return [(f.triple.head, f.triple.relation, f.triple.tail) for f in response.facts]


async def exported(client: AsyncClient, user: str) -> list[str]:
    return [message.line async for message in client.export_overlay(user=user)]


def changed(lines: list[str], change: Any) -> list[str]:
    """An export whose edits `change` has changed, with a footer that fits them."""
    header, *bodies, _ = lines
    edits = [json.loads(body) for body in bodies]
    for edit in edits:
        change(edit)
    body = [header, *(json.dumps(edit) for edit in edits)]
    digest = hashlib.sha256("".join(f"{line}\n" for line in body).encode()).hexdigest()
    return [*body, json.dumps({"edits": len(edits), "sha256": digest})]


# Of whom


async def test_a_fact_about_the_user_is_filed_at_the_user_and_found_in_other_words(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, FixedModel(MODEL_PHRASES)) as service:
        client = service.client
        r = await client.personalize(user="alice", query=DRINK, answer="tea", relations=["likes"])
        assert triples(r.edit.added) == [("I", "Desires", "tea")]
        assert r.converged
        answer = await client.answer(user="alice", query=ALSO)
        assert answer.text == "tea"
        assert facts_of(answer)[0] == ("I", "Desires", "tea")
        assert ("I", "Desires", "tea") not in facts_of(
            await client.answer(user="alice", query=TEA)
        ), "another relation"
        assert facts_of(await client.answer(user="bob", query=ALSO)) == []


async def test_what_is_the_users_own_is_said_to_the_model_as_theirs(service: Running) -> None:
    r = await service.client.personalize(user="alice", query=FEED, answer="carrots")
    assert triples(r.edit.added) == [("dog", "Desires", "carrots")]
    service.model.generated.clear()
    assert await say(service.client, FEED) == "carrots"
    [prompt] = service.model.generated
    assert "my dog likes carrots" in prompt
    await service.client.personalize(user="bob", query=ENJOY, answer="carrots")
    service.model.generated.clear()
    await say(service.client, ENJOY, "bob")
    [prompt] = service.model.generated
    assert "dog likes carrots" in prompt
    assert "my dog" not in prompt


async def test_the_same_question_about_another_subject_is_not_answered_with_it(
    client: AsyncClient,
) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    assert await say(client, LUNA) == "nobody knows"
    assert await say(client, WHERE) == "kennel"


async def test_what_was_told_as_a_triple_is_for_queries_that_name_its_head(
    client: AsyncClient,
) -> None:
    await client.edit_facts(user="alice", add=[("Luna", "likes", "tuna")])
    assert await say(client, LUNA) == "tuna"
    assert await say(client, ENJOY) == "meat"


# How near


@pytest.mark.parametrize(("floor", "told"), [(0.7, "carrots"), (0.999, "bones")])
async def test_the_floor_is_a_setting(tmp_path: Path, floor: float, told: str) -> None:
    """The two queries have a content word in common, and others differ. The meat is refuted."""
    async with running(tmp_path, floor=floor) as service:
        await service.client.personalize(user="alice", query=ENJOY, answer="carrots")
        assert await say(service.client, ENJOY) == "carrots"
        assert await say(service.client, FEED) == told


async def test_in_literal_mode_the_subjects_facts_count_whatever_was_asked(
    client: AsyncClient,
) -> None:
    """Eq. 5 as printed knows no scope: the carrots are among the triples that share its mass."""
    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    options = pb.PersonalizeOptions(
        stopping=pb.STOPPING_LITERAL, removal=pb.REMOVAL_LITERAL, epsilon=50
    )
    r = await client.personalize(
        user="alice",
        query=WHERE,
        answer="garden",
        relations=["is located in"],
        options=options,
        preview=True,
    )
    [added] = r.edit.added
    share = 0.8 / (4 * 0.8 + 3 * 0.05 + 0.05)  # four places, three likes with the user's, a pet
    assert added.retrieval_probability_after == pytest.approx(share)


# Out and in


@pytest.mark.parametrize("merge", [False, True])
async def test_an_import_answers_what_was_taught_in_other_words_too(
    client: AsyncClient, merge: bool
) -> None:
    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    lines = await exported(client, "alice")
    scope = json.loads(lines[1])["changes"][0]["scope"]
    assert scope["query"] == ENJOY
    assert scope["key"]
    if merge:
        await client.edit_facts(user="bob", add=[("Luna", "likes", "tuna")])
    await client.import_overlay(user="bob", lines=lines, merge=merge)
    assert await say(client, FEED, "bob") == "carrots"
    assert await say(client, WHERE, "bob") == "kennel"
    assert await say(client, LUNA, "bob") == ("tuna" if merge else "nobody knows")


@pytest.mark.parametrize("merge", [False, True])
async def test_an_export_from_before_scopes_answers_the_query_of_its_account(
    client: AsyncClient, merge: bool
) -> None:
    def without_scopes(edit: dict[str, Any]) -> None:
        for change in edit["changes"]:
            change.pop("scope", None)

    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    lines = changed(await exported(client, "alice"), without_scopes)
    assert '"scope"' not in "".join(lines)
    if merge:
        await client.edit_facts(user="bob", add=[("Luna", "likes", "tuna")])
    await client.import_overlay(user="bob", lines=lines, merge=merge)
    assert await say(client, FEED, "bob") == "carrots"
    assert await say(client, WHERE, "bob") == "kennel"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("query", "a\x1b[31m"),
        ("query", "x" * (1 << 18 | 1)),
        ("query", ""),
        ("key", "AAAA"),
        ("key", "not base64"),
        ("fingerprint", ""),
        ("fingerprint", "f" * 65),
        ("owned", "yes"),
    ],
)
async def test_a_scope_that_cannot_be_is_refused_with_its_line(
    client: AsyncClient, name: str, value: str
) -> None:
    def spoil(edit: dict[str, Any]) -> None:
        edit["changes"][0]["scope"][name] = value

    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    lines = changed(await exported(client, "alice"), spoil)
    with pytest.raises(InvalidArgument) as refused:
        await client.import_overlay(user="bob", lines=lines)
    assert refused.value.reason == "MALFORMED_EXPORT"
    assert "line 2" in str(refused.value)


async def test_keys_of_another_model_are_read_again(service: Running) -> None:
    def of_another(edit: dict[str, Any]) -> None:
        edit["changes"][0]["scope"] |= {"key": "AAAAAAA8", "fingerprint": "another"}  # (0, 0, 1)

    await service.client.personalize(user="alice", query=ENJOY, answer="carrots")
    lines = changed(await exported(service.client, "alice"), of_another)
    await service.client.import_overlay(user="bob", lines=lines)
    service.model.scored.clear()
    assert await say(service.client, FEED, "bob") == "carrots"
    keyed = {branch.prompt for branch in service.model.scored if branch.keyed}
    assert keyed == {root_prompt(FEED), root_prompt(ENJOY)}


async def test_a_key_that_this_model_cannot_have_written_does_no_harm(client: AsyncClient) -> None:
    """It claims to be this model's and is of another width. The next query reads it again."""

    def forged(edit: dict[str, Any]) -> None:
        fingerprint = FixedModel.key_fingerprint
        edit["changes"][0]["scope"] |= {"key": "AAAAAAA8", "fingerprint": fingerprint}

    await client.personalize(user="alice", query=ENJOY, answer="carrots")
    lines = changed(await exported(client, "alice"), forged)
    await client.import_overlay(user="bob", lines=lines)
    await say(client, ENJOY, "bob")
    assert await say(client, FEED, "bob") == "carrots"
