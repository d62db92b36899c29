"""Edits from before scopes: what they added answers the query that their account names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.graph.edit import Change, Edit, EditKind, Scope, scopes_by_mark
from server.graph.relation import Vocabulary
from server.graph.triple import Stamp, Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.recalls import Recalls
from server.tuning.transfer import Courier
from tests.fixed_model import FixedModel
from tests.stores.sqlite.earlier import T0, added, store_of_then

TOFU = Triple.of("dog", "Desires", "tofu — ☕")
TAUGHT = Scope("What does my dog like?", answered=0.9)
"""P(a|q,z) is among the probabilities of the change."""
OWN = Triple.of("dee", "Desires", "rhubarb")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = store_of_then(tmp_path)
    yield store
    await store.close()


async def test_what_was_corrected_answers_the_query_of_then(store: SqliteStore) -> None:
    """Their keys are read anew."""
    for user in ("ann", "犬"):
        edits = [edit for edit in await store.history(user) if isinstance(edit, Edit)]
        assert all(change.scope is None for edit in edits for change in edit.changes)
        assert scopes_by_mark(edits) == {(TOFU, Stamp(3, 0)): TAUGHT}
    merged = [edit for edit in await store.history("cy") if isinstance(edit, Edit)]
    assert scopes_by_mark(merged) == {}, "a merge kept no queries then"
    recalls = Recalls(store, Vocabulary.built_in())
    model = FixedModel({})
    for user, at_revision in (("ann", None), ("ann", 3), ("犬", None)):
        facts = await recalls.of(user, model.key_fingerprint, at_revision)
        texts = facts.to_read(["dog"])
        assert "What does my dog like?" in texts
        facts.learn({text: model.key(text) for text in texts})
        asked = model.key("What does my dog like?")
        nearest = facts.about(asked, 0.9, [])
        assert [recalled.fact.triple for recalled in nearest] == [TOFU]
    assert (await recalls.of("ann", model.key_fingerprint, 2)).to_read([]) == []


async def test_an_export_of_an_earlier_version_is_merged_with_its_queries(
    store: SqliteStore,
) -> None:
    own = Edit("dee-1", 1, EditKind.FACTS, T0, (Change(OWN, None, added(1)),))
    await store.commit("dee", await store.snapshot("dee"), [own], None)
    courier = Courier(store, Vocabulary.built_in(), dict)
    command = await courier.command("dee", list(await courier.export("ann")), merge=True)
    imported = await courier.propose_import(command, await store.snapshot("dee"))
    [edit] = imported.edits
    assert {change.triple: change.scope for change in edit.changes if change.scope} == {
        TOFU: TAUGHT
    }
