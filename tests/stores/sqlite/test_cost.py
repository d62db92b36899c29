"""What reading a large overlay costs, counted in statements and in SQLite's own steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest

from server.graph.concept import Concept
from server.graph.triple import Triple
from server.stores.sqlite.session import Session
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import Page
from testbed.bases import BaseTriple, build_base
from tests.conformance.graph_store import DOG, MEAT, VOCABULARY, add, remove, t

FEW, MANY = 1_000, 10_000
A_EDIT = 500
PAGE = 50
BASE = [BaseTriple(t("dog", "Desires", f"food {n}"), float(n)) for n in range(2_000)]


@dataclass
class Cost:
    """The cost of one call: statements begun, and steps of SQLite's machine in tens."""

    statements: int = 0
    steps: int = 0


class Counted(SqliteStore):
    """Counts what its sessions do."""

    def __init__(self) -> None:
        self.cost = Cost()
        super().__init__(":memory:", VOCABULARY)

    def _session(self) -> Session:
        session = super()._session()
        self._count(session._db)
        if session._base is not None:
            self._count(session._base._connection)
        return session

    def _count(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda _: self._add(statements=1))
        connection.set_progress_handler(lambda: self._add(steps=1), 10)

    def _add(self, statements: int = 0, steps: int = 0) -> None:
        self.cost.statements += statements
        self.cost.steps += steps

    async def cost_of(self, call: Callable[[], Awaitable[object]]) -> Cost:
        """What most of some calls cost: in others, a reader may have opened its connections."""
        costs = []
        for _ in range(15):
            self.cost = Cost()
            await call()
            costs.append(replace(self.cost))
        return sorted(costs, key=lambda cost: (cost.statements, cost.steps))[len(costs) // 2]


async def filled(count: int, triple: Callable[[int], Triple]) -> Counted:
    store = Counted()
    build_base(store.folder, BASE, VOCABULARY)
    for start in range(0, count, A_EDIT):
        await add(store, "ann", *(triple(n) for n in range(start, start + A_EDIT)))
    await remove(store, "ann", MEAT, *(t("dog", "Desires", f"food {n}") for n in range(0, 200, 2)))
    return store


def at_one_concept(n: int) -> Triple:
    return t("dog", "HasA", f"idea {n}")


def at_many_concepts(n: int) -> Triple:
    return t(f"friend {n}", "AtLocation", f"street {n}")


def at_one_other_end(n: int) -> Triple:
    return t(f"cat {n}", "Antonym", "dog")


Read = Callable[[SqliteStore, int], Awaitable[object]]


def facts(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.personal_facts("ann", Page(PAGE), revision)


def facts_in_the_middle(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.personal_facts("ann", Page(PAGE, f'[{revision // 2}, 250, "", "", ""]'), revision)


def triples_at_a_concept(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.page_neighborhood("ann", DOG, Page(PAGE), revision)


def triples_in_the_middle(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.page_neighborhood(
        "ann", DOG, Page(PAGE, f'[{revision // 2}, 250, "", ""]'), revision
    )


def triples_at_another_concept(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.page_neighborhood("ann", Concept.of("friend 7"), Page(PAGE), revision)


def edits(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.edits("ann", Page(1), revision)


def found(store: SqliteStore, _: int) -> Awaitable[object]:
    return store.find("ann", [at_one_concept(n) for n in range(PAGE)])


def looked_up(store: SqliteStore, revision: int) -> Awaitable[object]:
    return store.look_up("ann", ["friend 1", "street 1", "idea 1"], revision)


@pytest.mark.parametrize("layout", [at_one_concept, at_many_concepts, at_one_other_end])
async def test_a_read_costs_what_it_returns_and_not_what_the_overlay_holds(
    layout: Callable[[int], Triple],
) -> None:
    few, many = await filled(FEW, layout), await filled(MANY, layout)
    latest = {
        few: (await few.snapshot("ann")).revision,
        many: (await many.snapshot("ann")).revision,
    }
    reads: list[Read] = [
        facts,
        facts_in_the_middle,
        triples_at_a_concept,
        triples_in_the_middle,
        triples_at_another_concept,
        edits,
        found,
        looked_up,
    ]
    for read in reads:
        costs = [await store.cost_of(partial(read, store, latest[store])) for store in (few, many)]
        assert costs[1].statements <= costs[0].statements + 2, read.__name__
        assert costs[1].steps <= 1.5 * costs[0].steps + 20, (read.__name__, costs)
    others: list[Read] = [facts, facts_in_the_middle, edits, looked_up]
    if layout is not at_one_concept:
        others.append(triples_at_another_concept)
    for read in others:
        costs = [
            await store.cost_of(partial(read, store, latest[store] - 1)) for store in (few, many)
        ]
        assert costs[1].steps <= 1.5 * costs[0].steps + 20, (
            read.__name__,
            "at an older revision",
            costs,
        )
    for store in (few, many):
        await store.close()


async def test_a_neighborhood_takes_the_same_statements_for_any_number_of_marks() -> None:
    few, many = await filled(FEW, at_one_concept), await filled(MANY, at_one_concept)
    costs = [
        await store.cost_of(partial(store.neighborhood, "ann", DOG, 9)) for store in (few, many)
    ]
    assert costs[0].statements == costs[1].statements
    assert costs[1].steps < 12 * costs[0].steps, "and steps as there are marks"
    view = await many.neighborhood("ann", DOG, 9)
    assert view.slice("HasA").count == MANY
    assert [v.triple.tail.text for v in view.slice("Desires").base] == [
        f"food {n}" for n in range(1999, 1990, -1)
    ]
    for store in (few, many):
        await store.close()


async def test_many_relations_at_one_concept_are_put_together_in_one_go() -> None:
    store = await filled(MANY, lambda n: t("dog", f"relation {n}", "thing"))
    view = await store.neighborhood("ann", DOG, 9)
    assert len(view.slices) == MANY + 1
    await store.close()


async def test_finding_many_takes_as_many_statements_as_finding_one() -> None:
    store = await filled(FEW, at_one_concept)
    triples = [at_one_concept(n) for n in range(FEW)] + [
        t("dog", "Desires", f"food {n}") for n in range(500)
    ]
    one = await store.cost_of(lambda: store.find("ann", triples[:1]))
    all_ = await store.cost_of(lambda: store.find("ann", triples))
    assert one.statements == all_.statements
    answer = await store.find("ann", triples)
    assert sum(mark is not None for _, mark in answer.values()) == FEW + 100
    assert sum(in_base for in_base, _ in answer.values()) == 500
    await store.close()


async def test_paging_to_the_end_gives_all_once_and_in_order_of_age() -> None:
    store = await filled(FEW, at_one_other_end)
    for revision in (3, 2, 1):
        seen, cursor = [], ""
        while True:
            page = await store.personal_facts("ann", Page(77, cursor), revision)
            seen += [(fact.mark.stamp, fact.triple) for fact in page.items]
            if not (cursor := page.next_cursor):
                break
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == len(seen) == {1: 500, 2: 1000, 3: 1100}[revision]
    await store.close()
