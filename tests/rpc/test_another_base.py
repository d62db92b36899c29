"""An overlay that moves to another base graph, with its history or merged.

The base there (`tests.rpc.running`) says of the dog that it desires meat and is found in the
kennel. The base here has no kennel, and says by itself that the dog desires carrots.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kgt.client import AsyncClient
from kgt.v1 import personalization_pb2 as pb
from server.graph.triple import Triple
from testbed.bases import BaseTriple, build_base
from tests.rpc.running import ENJOY, VOCABULARY, running

ADDED, REMOVED = "ORIGIN_ADDED", "ORIGIN_REMOVED"

CARROTS, MEAT = ("dog", "Desires", "carrots"), ("dog", "Desires", "meat")
COLLAR, LEASH = ("dog", "HasA", "collar"), ("dog", "HasA", "leash")
KENNEL = ("dog", "AtLocation", "kennel")

HERE = [
    BaseTriple(Triple.of("dog", relation, tail))
    for relation, tail in (("Desires", "meat"), ("Desires", "carrots"), ("AtLocation", "sofa"))
]
BASE_HERE = {"meat", "carrots", "sofa"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    build_base(tmp_path / "here", HERE, VOCABULARY)
    async with running(tmp_path / "here") as service:
        yield service.client


@pytest.fixture
async def lines(tmp_path: Path) -> Sequence[str]:
    """An export of alice's overlay, made over the base there."""
    (tmp_path / "there").mkdir()
    async with running(tmp_path / "there") as service:
        client = service.client
        await client.personalize(user="alice", query=ENJOY, answer="vegetables")
        await client.personalize(user="alice", query=ENJOY, answer="fish")
        await client.edit_facts(user="alice", add=[CARROTS, COLLAR, LEASH])
        await client.edit_facts(user="alice", remove=[KENNEL, MEAT])
        await client.edit_facts(user="alice", remove=[LEASH])
        # Personalize took the vegetables away and she the leash. The base there never had them,
        # so no mark is left.
        assert await marks_of(client, "alice") == {
            "carrots": ADDED,
            "collar": ADDED,
            "fish": ADDED,
            "kennel": REMOVED,
            "meat": REMOVED,
        }
        return [message.line async for message in client.export_overlay(user="alice")]


async def marks_of(client: AsyncClient, user: str) -> dict[str, str]:
    """What the user's overlay says, by the triples' tails."""
    facts = (await client.list_facts(user=user)).facts
    return {fact.triple.tail: pb.Origin.Name(fact.origin) for fact in facts}


async def view_of(client: AsyncClient, user: str) -> set[str]:
    """The tails of what the user sees around the dog."""
    seen = (await client.get_neighborhood(user=user, concept="dog")).triples
    return {viewed.triple.tail for viewed in seen if viewed.origin != pb.ORIGIN_REMOVED}


async def test_a_history_is_taken_whole_and_seen_over_the_base_here(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.import_overlay(user="bob", lines=lines)
    assert await view_of(here, "bob") == {"carrots", "collar", "fish", "sofa"}
    # The history is taken whole, so the mark on the kennel comes along and hides nothing.
    assert (await marks_of(here, "bob"))["kennel"] == REMOVED
    again = [message.line async for message in here.export_overlay(user="bob")]
    assert again[1:-1] == lines[1:-1], "header and footer name the base"


async def test_edits_after_an_imported_history_ask_the_base_here(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.import_overlay(user="bob", lines=lines)
    hidden = (await here.edit_facts(user="bob", remove=[CARROTS, COLLAR, KENNEL])).edit
    assert {c.triple.tail for c in hidden.removed} == {"carrots", "collar"}
    marks = await marks_of(here, "bob")
    assert marks["carrots"] == REMOVED, "the base here has it"
    assert "collar" not in marks, "no base has it"
    await here.edit_facts(user="bob", add=[KENNEL])
    await here.edit_facts(user="bob", remove=[KENNEL])
    assert "kennel" not in await marks_of(here, "bob"), "the base here does not have it"
    assert await view_of(here, "bob") == {"fish", "sofa"}


async def test_the_edits_of_a_history_are_reverted_over_the_base_here(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.import_overlay(user="bob", lines=lines)
    for edit in (await here.list_edits(user="bob")).edits:  # newest first
        await here.revert_edit(user="bob", edit_id=edit.id)
    assert await marks_of(here, "bob") == {}
    assert await view_of(here, "bob") == BASE_HERE


async def test_a_merge_hides_only_what_the_base_here_has(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.edit_facts(user="carol", add=[KENNEL, LEASH])
    merged = (await here.import_overlay(user="carol", lines=lines, merge=True)).edit
    assert {c.triple.tail for c in merged.added} == {"carrots", "collar", "fish"}
    assert {c.triple.tail for c in merged.removed} == {"kennel", "meat"}
    assert await marks_of(here, "carol") == {
        "carrots": ADDED,
        "collar": ADDED,
        "fish": ADDED,
        "leash": ADDED,
        "meat": REMOVED,
    }, "her own kennel loses its mark, her leash keeps it"
    assert await view_of(here, "carol") == {"carrots", "collar", "fish", "leash", "sofa"}


async def test_a_merge_puts_no_mark_where_there_is_nothing_to_hide(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.edit_facts(user="carol", add=[LEASH])
    await here.import_overlay(user="carol", lines=lines, merge=True)
    assert "kennel" not in await marks_of(here, "carol")


async def test_a_merge_is_reverted_to_what_was_here(
    here: AsyncClient, lines: Sequence[str]
) -> None:
    await here.edit_facts(user="carol", add=[KENNEL, LEASH])
    own = (await here.list_facts(user="carol")).facts
    merged = (await here.import_overlay(user="carol", lines=lines, merge=True)).edit
    after = await marks_of(here, "carol")
    reverted = (await here.revert_edit(user="carol", edit_id=merged.id)).edit
    assert (await here.list_facts(user="carol")).facts == own, "marks and their ages"
    assert await view_of(here, "carol") == BASE_HERE | {"kennel", "leash"}
    await here.revert_edit(user="carol", edit_id=reverted.id)
    assert await marks_of(here, "carol") == after
