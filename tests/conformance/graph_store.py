"""One suite that every GraphStore passes. A store's own tests subclass it and provide `store`.

A visible difference between two stores is a bug: what a store must do is written here, not beside
one of them.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import (
    Internal,
    OverlayErased,
    OverlayNotEmpty,
    RevertBlocked,
    RevisionMoved,
    StoreBusy,
    UnknownEdit,
    UnknownRevision,
    UnreadableRecord,
)
from server.graph.codec import edit_to_json
from server.graph.concept import Concept
from server.graph.edit import Change, Edit, EditKind, OverlayBuilder, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple
from server.stores.rules.view import newest_first
from server.tuning.history import Historian, RevertCommand, Reverted, Skipped
from server.tuning.ports import Erased, GraphStore, Listing, Page, RequestRecord, Snapshot
from server.tuning.transfer import Courier, Imported
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from testbed.bases import BaseTriple
from tests.graph import edits as strategies

VOCABULARY = Vocabulary.built_in()
DOG = Concept.of("dog")
UNICODE = [
    "naïve café",
    "犬",
    "🐶 dog",
    "собака",
    "O'Brien's",
    'say "hi"',
    "a;b--c",
    "x" * 300,
    "50% off",
    "ﷺ",
]


def t(head: str, relation: str, tail: str) -> Triple:
    return Triple.of(head, relation, tail)


MEAT, BONES, KENNEL, PET = (
    t("dog", "Desires", "meat"), t("dog", "Desires", "bones"), t("dog", "AtLocation", "kennel"), t("dog", "IsA", "pet"),
)  # fmt: skip
CARROTS, SOFA = t("dog", "Desires", "carrots"), t("dog", "AtLocation", "sofa")
HUB = 10_000
BROKEN_BODY = (
    '{"id":"x","revision":1,"kind":"facts","time_ms":1,"changes":[{"triple":["dog","","ball"]}]}'
)
"""What a version of this service wrote that let a relation without a name pass."""

BASE = [
    BaseTriple(MEAT, 4.0, "/d/test", "cc0"),
    BaseTriple(BONES, 3.0),
    BaseTriple(KENNEL, 2.0),
    BaseTriple(PET, 2.0),
    BaseTriple(t("dogs", "FormOf", "dog"), 1.0),
    BaseTriple(t("hot", "Antonym", "cold"), 1.0),
    BaseTriple(t("hot", "HasProperty", "warm"), 1.0),
    BaseTriple(t("me", "SimilarTo", "me"), 1.0),
    *(BaseTriple(t("dog", "HasA", f"part {n}"), float(n % 97)) for n in range(20)),
    *(BaseTriple(t("hub", "HasA", f"thing {n}"), float(HUB - n)) for n in range(HUB)),
    *(BaseTriple(t(text, "IsA", "text"), 1.0) for text in UNICODE),
]


class GraphStoreConformance(ABC):
    """What any store does."""

    @abstractmethod
    async def opened(self, base: Sequence[BaseTriple]) -> GraphStore:
        """An empty store over `base`."""

    @abstractmethod
    async def damage(self, store: GraphStore, user: str, revision: int) -> None:
        """Put `BROKEN_BODY` in the place of a stored edit's record, behind the store's back."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[GraphStore]:
        store = await self.opened(BASE)
        yield store
        await store.close()

    @pytest.fixture
    def courier(self, store: GraphStore) -> Courier:
        return Courier(store, VOCABULARY, lambda: {"model": "m"})

    # The base

    async def test_a_neighborhood_has_the_base_heaviest_first(self, store: GraphStore) -> None:
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").base] == [MEAT, BONES]
        first = view.slice("Desires").base[0]
        assert (first.weight, first.dataset, first.license, first.origin) == (
            4.0,
            "/d/test",
            "cc0",
            Origin.BASE,
        )
        assert view.revision == 0

    async def test_an_unknown_concept_has_an_empty_neighborhood(self, store: GraphStore) -> None:
        assert (await store.neighborhood("ann", Concept.of("unheard of"), 50)).slices == ()

    async def test_a_slice_is_cut_at_the_limit_and_counts_all(self, store: GraphStore) -> None:
        part = (await store.neighborhood("ann", Concept.of("hub"), 64)).slice("HasA")
        assert part.base_count == HUB
        assert [v.triple.tail.text for v in part.base] == [f"thing {n}" for n in range(64)]

    async def test_a_symmetric_statement_reads_from_both_ends(self, store: GraphStore) -> None:
        from_hot = await store.neighborhood("ann", Concept.of("hot"), 50)
        from_cold = await store.neighborhood("ann", Concept.of("cold"), 50)
        assert [v.triple for v in from_hot.slice("Antonym").base] == [t("hot", "Antonym", "cold")]
        assert [v.triple for v in from_cold.slice("Antonym").base] == [t("cold", "Antonym", "hot")]
        assert (await store.neighborhood("ann", Concept.of("warm"), 50)).count == 0
        assert (await store.neighborhood("ann", Concept.of("me"), 50)).slice("SimilarTo").count == 1

    async def test_concepts_are_looked_up_with_what_is_known_of_them(
        self, store: GraphStore
    ) -> None:
        found = await store.look_up("ann", ["dog", "dogs", "meat", "unheard of", "cold"])
        assert set(found) == {"dog", "dogs", "meat", "cold"}
        assert found["dog"].retrievable_triples == 24
        assert found["dogs"].forms_of == ("dog",)
        assert found["dogs"].retrievable_triples == 0, "FormOf is no fact"
        assert found["cold"].retrievable_triples == 1, "read from its other end"
        assert all(entry.in_base and entry.personal_triples == 0 for entry in found.values())

    # Writing and reading

    async def test_a_write_is_read_back_at_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").triples] == [CARROTS, MEAT, BONES]
        assert view.slice("Desires").personal[0].stamp == Stamp(1, 0)
        assert view.revision == 1

    async def test_users_do_not_see_each_other(self, store: GraphStore) -> None:
        await add(store, "ann", t("dog", "Desires", "ann's secret"))
        await remove(store, "ann", MEAT)
        for user in ("bob", "Ann", "ann ", "an", "%", "ann' OR '1'='1"):
            view = await store.neighborhood(user, DOG, 50)
            assert [v.triple for v in view.slice("Desires").triples] == [MEAT, BONES]
            assert await store.look_up(user, ["ann's secret"]) == {}
            assert (await store.personal_facts(user, Page(50), 0)).items == ()
            assert await store.history(user) == []
            assert (await store.snapshot(user)).revision == 0

    async def test_removing_hides_from_that_user_and_leaves_the_base(
        self, store: GraphStore
    ) -> None:
        fingerprint = store.base_fingerprint
        await remove(store, "ann", MEAT)
        view = await store.neighborhood("ann", DOG, 50)
        assert [v.triple for v in view.slice("Desires").triples] == [BONES]
        assert view.slice("Desires").base_count == 1
        assert (await store.neighborhood("bob", DOG, 50)).find(MEAT) is not None
        assert store.base_fingerprint == fingerprint

    async def test_add_after_remove_and_remove_after_add(self, store: GraphStore) -> None:
        await remove(store, "ann", MEAT)
        await add(store, "ann", MEAT)
        seen = (await store.neighborhood("ann", DOG, 50)).find(MEAT)
        assert seen is not None
        assert (seen.origin, seen.in_base) == (Origin.ADDED, True)
        assert (await store.neighborhood("ann", DOG, 50)).slice("Desires").count == 2
        await remove(store, "ann", MEAT)
        assert (await store.neighborhood("ann", DOG, 50)).find(MEAT) is None
        await add(store, "ann", CARROTS)
        await remove(store, "ann", CARROTS)
        assert (await store.neighborhood("ann", DOG, 50)).find(CARROTS) is None
        assert await store.look_up("ann", ["carrots"]) == {}, "nobody knows it any more"

    async def test_a_personal_concept_is_known_to_its_user_alone(self, store: GraphStore) -> None:
        await add(store, "ann", t("Veldonia", "has the capital", "Port Mira"))
        found = await store.look_up("ann", ["veldonia", "port mira"])
        assert found["veldonia"].concept.text == "Veldonia"
        assert (found["veldonia"].in_base, found["veldonia"].personal_triples) == (False, 1)
        assert found["port mira"].personal_triples == 0
        assert await store.look_up("bob", ["veldonia", "port mira"]) == {}

    async def test_a_symmetric_edit_counts_at_both_ends(self, store: GraphStore) -> None:
        await remove(store, "ann", t("cold", "Antonym", "hot"))
        await add(store, "ann", t("hot", "Antonym", "freezing"))
        assert [v.triple.tail.text for v in (await store.neighborhood("ann", Concept.of("hot"), 9)).slice("Antonym").triples] == ["freezing"]  # fmt: skip
        assert (await store.neighborhood("ann", Concept.of("cold"), 9)).count == 0
        at_other_end = await store.neighborhood("ann", Concept.of("freezing"), 9)
        assert [v.triple for v in at_other_end] == [t("freezing", "Antonym", "hot")]

    async def test_find_says_what_base_and_overlay_have(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        found = await store.find("ann", [CARROTS, MEAT, BONES, SOFA])
        assert found[CARROTS] == (False, Mark(Origin.ADDED, Stamp(1, 0)))
        assert found[MEAT] == (True, Mark(Origin.REMOVED, Stamp(2, 0)))
        assert found[BONES] == (True, None)
        assert found[SOFA] == (False, None)

    @pytest.mark.parametrize("text", UNICODE)
    async def test_any_text_is_kept_as_it_is(self, store: GraphStore, text: str) -> None:
        await add(store, text, t(text, "personal " + text[:9], f"{text}!"))
        (viewed,) = (
            v for v in await store.neighborhood(text, Concept.of(text), 9) if v.is_personal
        )
        assert viewed.triple.tail.text == f"{text}!"
        assert viewed.triple.relation == "personal " + text[:9]
        assert (await store.neighborhood(text, Concept.of(text), 9)).slice("IsA").count == 1
        (fact,) = (await store.personal_facts(text, Page(9), 1)).items
        assert fact.triple.head.text == text

    # Commits

    async def test_a_commit_on_an_old_snapshot_changes_nothing(self, store: GraphStore) -> None:
        old = await store.snapshot("ann")
        await add(store, "ann", CARROTS)
        with pytest.raises(RevisionMoved) as moved:
            await store.commit("ann", old, [edit(1, Change(SOFA, None, added(1)))], None)
        assert (moved.value.expected, moved.value.actual) == (0, 1)
        assert (await store.neighborhood("ann", DOG, 9)).find(SOFA) is None

    async def test_a_repeated_request_id_finds_the_first_response(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"\x00response")
        await store.commit(
            "ann", await store.snapshot("ann"), [edit(1, Change(SOFA, None, added(1)))], record
        )
        assert await store.response("ann", "r-1") == record
        assert await store.response("ann", "r-2") is None
        assert await store.response("bob", "r-1") is None

    async def test_a_failed_commit_leaves_no_half(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"")
        await store.commit(
            "ann", await store.snapshot("ann"), [edit(1, Change(SOFA, None, added(1)))], record
        )
        with pytest.raises(
            Exception, match=r".*"
        ):  # whatever the store says: the request id is taken
            await store.commit(
                "ann",
                await store.snapshot("ann"),
                [edit(2, Change(CARROTS, None, added(2)))],
                record,
            )
        assert (await store.snapshot("ann")).revision == 1
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    async def test_a_response_is_kept_without_an_edit(self, store: GraphStore) -> None:
        begun = await store.snapshot("ann")
        await store.commit("ann", begun, [], RequestRecord("r-1", "hash", b"nothing changed"))
        assert await store.response("ann", "r-1") == RequestRecord(
            "r-1", "hash", b"nothing changed"
        )
        assert await store.response("bob", "r-1") is None
        assert await store.snapshot("ann") == begun, "neither an overlay nor a revision"
        assert await store.history("ann") == []
        await add(store, "ann", CARROTS)
        with pytest.raises(RevisionMoved):
            await store.commit("ann", begun, [], RequestRecord("r-2", "hash", b""))
        assert await store.response("ann", "r-2") is None
        await store.commit(
            "ann", await store.snapshot("ann"), [], RequestRecord("r-3", "hash", b"\x00")
        )
        assert (await store.snapshot("ann")).revision == 1
        assert (await store.erase("ann")).stored_responses == 2
        assert await store.response("ann", "r-1") is None
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [], RequestRecord("r-4", "hash", b""))

    async def test_of_responses_without_an_edit_the_newest_are_kept(
        self, store: GraphStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.modules[type(store).__module__], "KEPT_RESPONSES", 3)
        for n in range(5):
            await store.commit(
                "ann", await store.snapshot("ann"), [], RequestRecord(f"r-{n}", "hash", b"")
            )
        assert [n for n in range(5) if await store.response("ann", f"r-{n}") is not None] == [
            2,
            3,
            4,
        ]

    async def test_a_request_id_is_answered_once(self, store: GraphStore) -> None:
        record = RequestRecord("r-1", "hash", b"first")
        await store.commit("ann", await store.snapshot("ann"), [], record)
        for edits in ([], [edit(1, Change(SOFA, None, added(1)))]):
            with pytest.raises(StoreBusy, match="repeat it"):
                await store.commit(
                    "ann",
                    await store.snapshot("ann"),
                    edits,
                    RequestRecord("r-1", "hash", b"later"),
                )
        assert await store.response("ann", "r-1") == record
        assert (await store.snapshot("ann")).revision == 0

    @pytest.mark.parametrize(
        "bad",
        [
            Triple(DOG, "", Concept("ball", "ball")),
            Triple(DOG, "likes", Concept("", "_")),
            Triple(Concept("x" * 600, "x" * 600), "likes", DOG),
            Triple(DOG, "likes", Concept("ball", "half \ud800")),
        ],
        ids=["no relation", "no tail", "long head", "half a character"],
    )
    async def test_an_edit_that_could_not_be_read_back_is_not_written(
        self, store: GraphStore, bad: Triple
    ) -> None:
        with pytest.raises(Internal):
            await store.commit(
                "ann", await store.snapshot("ann"), [edit(1, Change(bad, None, added(1)))], None
            )
        assert (await store.snapshot("ann")).revision == 0
        await add(store, "ann", CARROTS)
        assert len(await store.history("ann")) == 1

    async def test_of_concurrent_writers_to_one_user_none_is_lost(self, store: GraphStore) -> None:
        async def write(number: int) -> None:
            while True:
                snapshot = await store.snapshot("ann")
                revision = snapshot.revision + 1
                change = Change(t("dog", "HasA", f"idea {number}"), None, added(revision))
                try:
                    await store.commit("ann", snapshot, [edit(revision, change)], None)
                except RevisionMoved:
                    continue
                return

        await asyncio.gather(*(write(n) for n in range(16)))
        view = await store.neighborhood("ann", DOG, 99)
        assert {v.triple.tail.text for v in view.slice("HasA").personal} == {
            f"idea {n}" for n in range(16)
        }
        assert [e.revision for e in await store.history("ann")] == list(range(1, 17))

    async def test_users_write_side_by_side(self, store: GraphStore) -> None:
        await asyncio.gather(
            *(add(store, f"user {n}", t("dog", "Desires", f"wish {n}")) for n in range(64))
        )
        for n in range(64):
            view = await store.neighborhood(f"user {n}", DOG, 9)
            assert [v.triple.tail.text for v in view.slice("Desires").personal] == [f"wish {n}"]

    # History

    async def test_at_revision_is_the_overlay_as_of_that_edit(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await add(store, "ann", t("Luna", "IsA", "cat"))
        await remove(store, "ann", CARROTS)

        async def desires(revision: int | None) -> list[str]:
            view = await store.neighborhood("ann", DOG, 9, revision)
            return [v.triple.tail.text for v in view.slice("Desires").triples]

        assert await desires(0) == ["meat", "bones"]
        assert await desires(1) == ["carrots", "meat", "bones"]
        assert await desires(2) == ["carrots", "bones"]
        assert await desires(4) == await desires(None) == ["bones"]
        assert "luna" not in await store.look_up("ann", ["luna"], 2)
        assert "carrots" in await store.look_up("ann", ["carrots"], 3)
        assert (await store.look_up("ann", ["luna"], 3))["luna"].personal_triples == 1

    @pytest.mark.parametrize("revision", [-1, 2, 1 << 40])
    async def test_a_revision_never_reached_is_unknown(
        self, store: GraphStore, revision: int
    ) -> None:
        await add(store, "ann", CARROTS)
        with pytest.raises(UnknownRevision):
            await store.neighborhood("ann", DOG, 9, revision)

    async def test_edits_are_listed_newest_first_in_pages_pinned_to_a_revision(
        self, store: GraphStore
    ) -> None:
        for n in range(5):
            await add(store, "ann", t("dog", "HasA", f"idea {n}"))
        first = await store.edits("ann", Page(2), 5)
        await add(store, "ann", CARROTS)
        second = await store.edits("ann", Page(2, first.next_cursor), 5)
        last = await store.edits("ann", Page(2, second.next_cursor), 5)
        listed = [e.revision for page in (first, second, last) for e in page.items]
        assert listed == [5, 4, 3, 2, 1]
        assert last.next_cursor == ""

    async def test_facts_are_all_that_a_user_changed_newest_first(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        facts = (await store.personal_facts("ann", Page(1), 2)).items
        assert [(f.triple, f.mark.origin) for f in facts] == [(MEAT, Origin.REMOVED)]
        rest = await store.personal_facts(
            "ann", Page(5, (await store.personal_facts("ann", Page(1), 2)).next_cursor), 2
        )
        assert [(f.triple, f.mark.origin) for f in rest.items] == [(CARROTS, Origin.ADDED)]
        history = await store.history("ann")
        assert rest.items[0].edit_id == history[0].id
        assert [f.triple for f in (await store.personal_facts("ann", Page(5), 1)).items] == [
            CARROTS
        ]

    async def test_a_neighborhood_is_paged_whole_and_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        await remove(store, "ann", MEAT)
        await remove(store, "ann", t("dog", "HasA", "part 3"))
        seen: list[ViewedTriple] = []
        cursor = ""
        for _ in range(99):
            page = await store.page_neighborhood("ann", DOG, Page(4, cursor), 3)
            assert len(page.items) <= 4
            seen.extend(page.items)
            if not (cursor := page.next_cursor):
                break
        assert [v.origin for v in seen[:3]] == [Origin.REMOVED, Origin.REMOVED, Origin.ADDED]
        assert len(seen) == len({v.triple for v in seen}) == 25
        whole = await store.neighborhood("ann", DOG, 99)
        assert {v.triple for v in seen if v.origin is not Origin.REMOVED} == {
            v.triple for v in whole
        }

    async def test_a_hub_is_paged_to_its_end(self, store: GraphStore) -> None:
        hub = Concept.of("hub")
        await remove(store, "ann", *(t("hub", "HasA", f"thing {n}") for n in range(0, 1000, 2)))
        tails, cursor = [], ""
        while True:
            page = await store.page_neighborhood("ann", hub, Page(500, cursor), 1)
            tails += [v.triple.tail.text for v in page.items if v.origin is Origin.BASE]
            if not (cursor := page.next_cursor):
                break
        assert len(tails) == len(set(tails)) == HUB - 500

    async def test_an_unknown_or_foreign_edit_is_not_found(self, store: GraphStore) -> None:
        edit_id = (await add(store, "ann", CARROTS)).id
        assert (await store.edit("ann", edit_id)).id == edit_id
        for user, wanted in (("bob", edit_id), ("ann", "nope")):
            with pytest.raises(UnknownEdit):
                await store.edit(user, wanted)

    async def test_a_page_of_edits_ends_by_bytes_too_and_holds_at_least_one(
        self, store: GraphStore
    ) -> None:
        for n in range(4):
            await add(store, "ann", t("dog", "HasA", f"{n} " + "x" * 400))
        size = len(edit_to_json((await store.edits("ann", Page(1), 4)).items[0]))  # type: ignore[arg-type]
        for max_bytes, expected in ((1, [1, 1, 1, 1]), (size * 2 + 9, [2, 2]), (size * 9, [4])):
            counts, cursor = [], ""
            while True:
                page = await store.edits("ann", Page(50, cursor, max_bytes), 4)
                counts.append(len(page.items))
                if not (cursor := page.next_cursor):
                    break
            assert counts == expected

    # A damaged record

    async def test_a_record_that_cannot_be_read_fails_alone(self, store: GraphStore) -> None:
        made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
        await self.damage(store, "ann", 2)
        broken = UnreadableEdit(made[1].id, 2, made[1].time_ms)
        assert (await store.edits("ann", Page(9), 3)).items == (made[2], broken, made[0])
        assert await store.history("ann") == [made[0], broken, made[2]]
        assert await store.edit("ann", made[0].id) == made[0]
        with pytest.raises(UnreadableRecord) as raised:
            await store.edit("ann", made[1].id)
        assert (raised.value.edit_id, raised.value.revision) == (made[1].id, 2)
        with pytest.raises(UnreadableRecord):
            await store.edits_since("ann", 0, [t("dog", "HasA", "idea 1")])
        assert await store.edits_since("ann", 0, [t("dog", "HasA", "idea 2")]) == [made[2]]

    async def test_an_export_gives_all_that_can_be_read_and_then_says_what_cannot(
        self, store: GraphStore, courier: Courier
    ) -> None:
        made = [await add(store, "ann", t("dog", "HasA", f"idea {n}")) for n in range(3)]
        await self.damage(store, "ann", 2)
        lines: list[str] = []
        exported = await courier.export("ann")
        with pytest.raises(UnreadableRecord):
            for line in exported:
                lines.append(line)  # noqa: PERF402 (what came before the error counts)
        assert lines[1:] == [edit_to_json(made[0]), edit_to_json(made[2])]

    async def test_a_record_that_cannot_be_read_hinders_nobody_else(
        self, store: GraphStore
    ) -> None:
        for n in range(3):
            await add(store, "ann", t("dog", "HasA", f"idea {n}"))
        await self.damage(store, "ann", 2)
        for n in range(8):  # more often than there are readers
            await store.edits("ann", Page(9), 3)
            with pytest.raises(UnreadableRecord):
                await store.edits_since("ann", 0, [t("dog", "HasA", "idea 1")])
            await add(store, "bob", t("dog", "HasA", f"bob's {n}"))
            assert (await store.snapshot("bob")).revision == n + 1
        await asyncio.gather(*(store.neighborhood("bob", DOG, 9) for _ in range(16)))
        revisions = await asyncio.gather(*(store.snapshot("bob") for _ in range(16)))
        assert {s.revision for s in revisions} == {8}
        await add(store, "ann", CARROTS)
        assert (await store.snapshot("ann")).revision == 4
        assert (await store.erase("ann")).edits == 4
        assert await store.history("ann") == []

    # Undo

    async def test_reverts_are_told_oldest_first(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        undone = (await revert(store, "ann", first.id)).edit
        redone = (await revert(store, "ann", undone.id)).edit
        assert await store.reverts("ann") == [(undone.id, first.id), (redone.id, undone.id)]
        assert await store.reverts("bob") == []

    async def test_reverting_restores_exactly_and_twice_is_once(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        before = await store.neighborhood("ann", DOG, 99)
        second = await commit(
            store, "ann", [(SOFA, Origin.ADDED), (MEAT, Origin.REMOVED), (CARROTS, Origin.ADDED)]
        )
        reverted = await revert(store, "ann", second.id)
        after = await store.neighborhood("ann", DOG, 99)
        assert list(after) == list(before), "age included"
        assert reverted.edit.reverts == second.id
        again = await revert(store, "ann", second.id)
        assert again.edit.id == reverted.edit.id
        assert (await store.snapshot("ann")).revision == 3

    async def test_a_revert_can_be_reverted_and_then_made_anew(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        undone = (await revert(store, "ann", first.id)).edit
        await revert(store, "ann", undone.id)
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is not None
        anew = (await revert(store, "ann", first.id)).edit
        assert anew.id != undone.id
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    async def test_what_later_edits_changed_blocks_a_revert_or_is_skipped(
        self, store: GraphStore
    ) -> None:
        first = await commit(store, "ann", [(CARROTS, Origin.ADDED), (MEAT, Origin.REMOVED)])
        second = await remove(store, "ann", CARROTS)
        with pytest.raises(RevertBlocked) as blocked:
            await revert(store, "ann", first.id)
        assert blocked.value.edit_ids == (second.id,)
        reverted = await revert(store, "ann", first.id, skip_conflicts=True)
        assert reverted.skipped == (Skipped(CARROTS, (second.id,)),)
        view = await store.neighborhood("ann", DOG, 9)
        assert view.find(MEAT) is not None
        assert view.find(CARROTS) is None

    async def test_what_later_edits_relied_on_blocks_a_revert(self, store: GraphStore) -> None:
        first = await add(store, "ann", CARROTS)
        later = Edit(
            uuid.uuid4().hex,
            2,
            EditKind.PERSONALIZE,
            0,
            (Change(SOFA, None, added(2)),),
            relied_on=(CARROTS,),
        )
        await store.commit("ann", await store.snapshot("ann"), [later], None)
        with pytest.raises(RevertBlocked) as blocked:
            await revert(store, "ann", first.id)
        assert blocked.value.edit_ids == (later.id,)
        await revert(store, "ann", later.id)
        await revert(store, "ann", first.id)
        assert (await store.neighborhood("ann", DOG, 9)).find(CARROTS) is None

    async def test_reverting_in_reverse_order_gives_the_base_back(self, store: GraphStore) -> None:
        original = list(await store.neighborhood("ann", DOG, 99))
        edits = [
            await commit(store, "ann", [(CARROTS, Origin.ADDED), (MEAT, Origin.REMOVED)]),
            await commit(
                store,
                "ann",
                [(t("dog", "Desires", "fish"), Origin.ADDED), (CARROTS, Origin.REMOVED)],
            ),
        ]
        for made in reversed(edits):
            await revert(store, "ann", made.id)
        assert list(await store.neighborhood("ann", DOG, 99)) == original

    # Export, import, erase

    async def test_an_export_comes_back_into_an_empty_overlay_with_its_history(
        self, store: GraphStore, courier: Courier
    ) -> None:
        await add(store, "ann", CARROTS, t("Zoë", "is named", 'Zo "Z" ë'))
        made = await remove(store, "ann", MEAT)
        await revert(store, "ann", made.id)
        lines = list(await courier.export("ann"))
        imported = await import_(store, "bob", lines)
        assert (imported.exported_edits, imported.revision, imported.merged) == (3, 3, None)
        assert await store.history("bob") == await store.history("ann")
        assert list(await courier.export("bob")) == lines
        assert list(await store.neighborhood("bob", DOG, 9)) == list(
            await store.neighborhood("ann", DOG, 9)
        )
        assert [v.triple.tail.text for v in (await store.neighborhood("bob", DOG, 9, 1)).slice("Desires").personal] == ["carrots"]  # fmt: skip

    async def test_an_import_into_a_used_overlay_needs_merge_and_is_one_net_edit(
        self, store: GraphStore, courier: Courier
    ) -> None:
        await add(store, "ann", CARROTS, SOFA)
        await remove(store, "ann", MEAT)
        await remove(store, "ann", SOFA)
        lines = list(await courier.export("ann"))
        await add(store, "bob", BONES)
        with pytest.raises(OverlayNotEmpty):
            await import_(store, "bob", lines)
        imported = await import_(store, "bob", lines, merge=True)
        assert imported.merged is not None
        assert imported.revision == 2
        assert {c.triple for c in imported.merged.changes} == {CARROTS, MEAT}
        view = await store.neighborhood("bob", DOG, 9)
        assert [v.triple for v in view.slice("Desires").triples] == [CARROTS, BONES]
        assert view.find(SOFA) is None

    async def test_erasing_removes_everything_of_one_user(self, store: GraphStore) -> None:
        await add(store, "bob", CARROTS)
        record = RequestRecord("r-1", "hash", b"secret")
        change = Change(t("dog", "Desires", "caviar"), None, added(1))
        await store.commit("ann", await store.snapshot("ann"), [edit(1, change)], record)
        await remove(store, "ann", MEAT)
        erased = await store.erase("ann")
        assert (erased.edits, erased.added_triples, erased.removed_triples) == (2, 1, 1)
        assert (erased.personal_concepts, erased.stored_responses) == (1, 1)
        assert await store.history("ann") == []
        assert await store.response("ann", "r-1") is None
        assert await store.look_up("ann", ["caviar"]) == {}
        assert (await store.neighborhood("ann", DOG, 9)).find(MEAT) is not None
        assert (await store.snapshot("ann")).revision == 0
        assert len(await store.history("bob")) == 1
        assert (await store.erase("ann")).edits == 0

    async def test_a_repeated_erase_returns_what_the_first_removed_and_removes_nothing(
        self, store: GraphStore
    ) -> None:
        await add(store, "ann", CARROTS)
        await store.commit(
            "ann", await store.snapshot("ann"), [], RequestRecord("r-1", "hash", b"")
        )
        first = await store.erase("ann", "e-1")
        assert first == Erased(edits=1, added_triples=1, personal_concepts=1, stored_responses=1)
        assert await store.erase("ann", "e-1") == first
        await add(store, "ann", SOFA)
        assert await store.erase("ann", "e-1") == first
        assert (await store.neighborhood("ann", DOG, 9)).find(SOFA) is not None, (
            "what she began anew stays"
        )
        await add(store, "bob", SOFA)
        assert (await store.erase("bob", "e-1")).edits == 1, "the id is ann's"
        assert (await store.erase("ann", "e-2")).edits == 1
        assert (await store.erase("ann")).edits == 0

    async def test_a_request_begun_before_an_erase_brings_nothing_back(
        self, store: GraphStore
    ) -> None:
        await add(store, "ann", CARROTS)
        begun = await store.snapshot("ann")
        await store.erase("ann")
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(2, Change(SOFA, None, added(2)))], None)
        await add(store, "ann", BONES)
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(2, Change(SOFA, None, added(2)))], None)
        assert len(await store.history("ann")) == 1

    async def test_nor_does_one_begun_before_the_first_edit_of_an_erased_user(
        self, store: GraphStore
    ) -> None:
        begun = await store.snapshot("ann")
        await store.erase("ann")
        with pytest.raises(OverlayErased):
            await store.commit("ann", begun, [edit(1, Change(SOFA, None, added(1)))], None)
        assert (await store.snapshot("ann")).revision == 0

    async def test_a_new_overlay_after_an_erase_has_a_new_id(self, store: GraphStore) -> None:
        await add(store, "ann", CARROTS)
        first = await store.snapshot("ann")
        await store.erase("ann")
        await add(store, "ann", CARROTS)
        assert (await store.snapshot("ann")).overlay_id != first.overlay_id

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[
            *HealthCheck
        ],  # a store for all examples, each of which has users of its own
    )
    @given(drawn=st.lists(strategies.edits, min_size=1, max_size=3))
    async def test_any_edits_survive(
        self, store: GraphStore, courier: Courier, drawn: Sequence[Edit]
    ) -> None:
        edits = following_each_other(drawn)
        user = uuid.uuid4().hex
        begun = await store.snapshot(user)
        for number, made in enumerate(edits):
            await store.commit(
                user, replace(await store.snapshot(user), revision=number), [made], None
            )
        assert (await store.snapshot(user)).overlay_id != begun.overlay_id
        assert await store.history(user) == edits
        assert (await store.edits(user, Page(9), len(edits))).items == tuple(reversed(edits))
        log = OverlayBuilder()
        for made in edits:
            assert await store.edit(user, made.id) == made
            log.apply(made)
            marks = newest_first(log.overlay().marks)
            facts = await every_page(
                lambda page, at=made.revision: store.personal_facts(user, page, at)
            )  # type: ignore[misc]
            assert [(fact.triple, fact.mark) for fact in facts] == marks
            for head in {triple.head for triple, _ in marks}:
                own = [
                    viewed.triple
                    for viewed in await store.neighborhood(user, head, 9, made.revision)
                ]
                added = {z for z, m in marks if m.origin is Origin.ADDED}
                assert {z for z in added if z.head == head} <= set(own)
        assert (await store.overlay(user)).marks == log.overlay().marks
        lines = list(await courier.export(user))
        await import_(store, user + "2", lines)
        assert await store.history(user + "2") == edits
        for each in (user, user + "2"):
            assert (await store.erase(each)).edits == len(edits)
            assert await store.history(each) == []

    async def test_it_says_that_it_is_well(self, store: GraphStore) -> None:
        await store.health()


# What the tests do


def added(revision: int, position: int = 0) -> Mark:
    return Mark(Origin.ADDED, Stamp(revision, position))


def edit(revision: int, *changes: Change) -> Edit:
    return Edit(uuid.uuid4().hex, revision, EditKind.FACTS, 1_700_000_000_000 + revision, changes)


def following_each_other(drawn: Sequence[Edit]) -> list[Edit]:
    """`drawn` as one log: numbered, each from where the one before ends, none dated after itself."""
    log, edits = OverlayBuilder(), list[Edit]()
    for revision, one in enumerate(drawn, start=1):
        marks = log.overlay().marks
        changes = []
        for change in one.changes:
            after = change.after and replace(
                change.after, stamp=replace(change.after.stamp, revision=revision)
            )
            before = marks.get(change.triple)
            if before != after:
                changes.append(replace(change, before=before, after=after))
        reverts = edits[-1].id if edits and one.reverts else None
        edits.append(
            replace(
                one,
                id=f"{revision}-{one.id}",
                revision=revision,
                changes=tuple(changes),
                reverts=reverts,
            )
        )
        log.apply(edits[-1])
    return edits


Paged = TypeVar("Paged")


async def every_page(read: Callable[[Page], Awaitable[Listing[Paged]]]) -> list[Paged]:
    """The items of all pages, read two by two."""
    items: list[Paged] = []
    cursor = ""
    while True:
        listing = await read(Page(2, cursor))
        items += listing.items
        if not (cursor := listing.next_cursor):
            return items


async def commit(store: GraphStore, user: str, wanted: Sequence[tuple[Triple, Origin]]) -> Edit:
    """One edit that adds or removes each triple, whatever it was."""
    snapshot: Snapshot = await store.snapshot(user)
    found = await store.find(user, [triple for triple, _ in wanted])
    changes = []
    for position, (triple, origin) in enumerate(wanted):
        in_base, mark = found[triple]
        after = Mark(origin, Stamp(snapshot.revision + 1, position))
        stored = (
            triple
            if not VOCABULARY.is_symmetric(triple.relation)
            else min(triple, triple.mirrored())
        )
        changes.append(
            Change(stored, mark, None if origin is Origin.REMOVED and not in_base else after)
        )
    made = edit(snapshot.revision + 1, *changes)
    await store.commit(user, snapshot, [made], None)
    return made


async def add(store: GraphStore, user: str, *triples: Triple) -> Edit:
    return await commit(store, user, [(triple, Origin.ADDED) for triple in triples])


async def remove(store: GraphStore, user: str, *triples: Triple) -> Edit:
    return await commit(store, user, [(triple, Origin.REMOVED) for triple in triples])


async def revert(
    store: GraphStore, user: str, edit_id: str, *, skip_conflicts: bool = False
) -> Reverted:
    historian, command = Historian(store), RevertCommand(user, edit_id, skip_conflicts)
    return await Writes(store, UserTurns()).run(
        user, lambda snapshot: historian.propose_revert(command, snapshot)
    )


async def import_(
    store: GraphStore, user: str, lines: Sequence[str], *, merge: bool = False
) -> Imported:
    courier = Courier(store, VOCABULARY, dict)
    command = await courier.command(user, lines, merge=merge)
    return await Writes(store, UserTurns()).run(
        user, lambda snapshot: courier.propose_import(command, snapshot)
    )


def tails(view: Neighborhood, relation: str) -> list[str]:
    return [v.triple.tail.text for v in view.slice(relation).triples]
