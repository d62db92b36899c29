"""A user's facts, what each of them answers, and which of them a query is about."""

from __future__ import annotations

import math

import numpy as np
import pytest

from server.graph.edit import Scope
from server.graph.triple import Stamp, Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.key_rows import packed
from server.tuning.recall import Fact, Recalled, scope_weight
from server.tuning.recalls import Recalls
from tests.tuning.recalling import (
    ABOUT_DOGS,
    ABOUT_WORK,
    CARROTS,
    FLOOR,
    JOB,
    MODEL,
    NURSE,
    about,
    facts,
    key,
    scope,
    triples,
)
from tests.tuning.teaching import taught, told

# What a query is about


async def test_a_query_is_about_the_facts_whose_keys_are_near_its_own(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    await taught(store, "ann", CARROTS, scope("What does my dog eat?", ABOUT_DOGS))
    known = await facts(recalls)
    assert len(known) == 2
    assert known.to_read([]) == [], "their keys were kept with the edits"
    [found] = known.about(key(1, 0.5), FLOOR, [])
    assert (found.fact.triple, found.fact.text) == (NURSE, JOB)
    assert found.product == pytest.approx(1 / 1.25**0.5, abs=1e-3)
    assert about(known, key(0, 0, 1)) == []
    assert about(known, key(1, 1)) == [CARROTS, NURSE], "as near; the newest first"
    assert about(known, key(1.01, 1)) == [NURSE, CARROTS], "the nearest first"
    assert about(await facts(recalls, user="bob"), ABOUT_WORK) == []


async def test_what_two_edits_with_the_same_query_taught_comes_newest_first(
    store: SqliteStore, recalls: Recalls
) -> None:
    sons = [Triple.of("I", "HasA", name) for name in ("Noor", "Emil", "Tove")]
    for n, son in enumerate(sons):
        await taught(store, "ann", son, scope("Who are my sons?", key(1, n / 1_000)))
    known = await facts(recalls)
    assert about(known, ABOUT_WORK) == sons[::-1]
    assert triples(known.about(ABOUT_WORK, FLOOR, [], most=2)) == [sons[2], sons[1]]


def test_the_scope_weight_is_1_at_the_floor_and_e_fold_every_eighth() -> None:
    assert scope_weight(0.7, floor=0.7) == 1
    assert scope_weight(0.825, floor=0.7) == pytest.approx(math.e)


def test_a_weight_counts_the_answer_as_far_as_it_is_what_it_was_when_the_fact_was_taught() -> None:
    fact = Fact(NURSE, Stamp(1, 0), JOB, answered=0.5)
    near = Recalled(fact, 0.825)
    assert near.weight(0.7) == pytest.approx(math.e)
    assert near.weight(0.7, 0.5) == pytest.approx(math.e)
    assert near.weight(0.7, 0.1) == pytest.approx(math.e / 5)


async def test_whether_the_head_is_the_users_own_is_part_of_the_scope(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", CARROTS, Scope("What does my dog eat?", owned=True))
    known = await facts(recalls)
    known.learn({"What does my dog eat?": ABOUT_DOGS})
    [found] = known.about(ABOUT_DOGS, FLOOR, [])
    assert found.fact.owned


async def test_a_long_message_teaches_what_its_question_asks(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope("It rained all day. " * 100 + JOB))
    assert (await facts(recalls)).to_read([]) == [JOB]


# Facts told as triples


async def test_a_fact_told_as_a_triple_answers_its_own_words_where_its_head_is_named(
    store: SqliteStore, recalls: Recalls
) -> None:
    await told(store, "ann", CARROTS)
    known = await facts(recalls)
    assert known.to_read(["cat", "carrots"]) == []
    assert known.to_read(["dog"]) == ["dog likes carrots"]
    known.learn({"dog likes carrots": ABOUT_DOGS})
    assert known.to_read(["dog"]) == []
    assert about(known, ABOUT_DOGS, "dog") == [CARROTS]
    assert about(known, ABOUT_DOGS, "carrots") == []
    assert about(known, ABOUT_DOGS) == []
    assert about(known, ABOUT_WORK, "dog") == [], "its key counts all the same"


async def test_a_told_facts_head_is_named_by_the_words_of_the_query(
    store: SqliteStore, recalls: Recalls
) -> None:
    heads = ("Will", "McDonald's", "old barn")
    await told(store, "ann", *(Triple.of(head, "Desires", "tulips") for head in heads))
    known = await facts(recalls)
    assert known.named_in("What does Will like?") == {"will"}
    assert known.named_in("What is Will’s favourite flower?") == {"will"}
    assert known.named_in("Where is McDonald’s?") == {"mcdonald's"}
    assert known.named_in("what grows in the old barn, Will?") == {"old barn", "will"}
    assert known.named_in("Where does the willow stand, in an old red barn?") == set()


async def test_either_end_of_a_symmetric_relation_is_its_head(
    store: SqliteStore, recalls: Recalls
) -> None:
    await told(store, "ann", Triple.of("zebra", "Antonym", "aardvark"))
    known = await facts(recalls)
    assert known.to_read(["zebra"]) == known.to_read(["aardvark"]) != []


async def test_what_was_told_and_then_taught_needs_no_name(
    store: SqliteStore, recalls: Recalls
) -> None:
    await told(store, "ann", NURSE)
    assert about(await facts(recalls), ABOUT_WORK) == []
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    assert about(await facts(recalls), ABOUT_WORK) == [NURSE]


# Keys


async def test_a_kept_key_counts_only_for_the_model_that_read_it(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_DOGS, "another model"))
    known = await facts(recalls)
    assert known.to_read([]) == [JOB]
    assert about(known, ABOUT_DOGS) == []
    known.learn({JOB: ABOUT_WORK, "What no fact answers": ABOUT_DOGS})
    assert known.to_read([]) == []
    assert about(known, ABOUT_WORK) == [NURSE]
    assert about(await recalls.of("ann", MODEL, None), ABOUT_WORK) == [NURSE], "it is remembered"


async def test_keys_are_read_the_newest_facts_first_and_only_so_many_at_once(
    store: SqliteStore, recalls: Recalls
) -> None:
    for n in range(3):
        await taught(store, "ann", Triple.of("I", "HasA", f"boat {n}"), scope(f"Boat {n}?"))
    assert (await facts(recalls)).to_read([]) == ["Boat 2?", "Boat 1?", "Boat 0?"]
    long = [Triple.of("dog", "HasA", f"{n} " + "x" * 200) for n in range(300)]
    await told(store, "bob", *long)
    known = await facts(recalls, user="bob")
    read = 0
    while texts := known.to_read(["dog"]):
        assert sum(map(len, texts)) <= 40_000
        known.learn(dict.fromkeys(texts, ABOUT_DOGS))
        read += len(texts)
    assert read == 300


@pytest.mark.parametrize("wrong", [packed(np.ones(3, np.float32)), b"\x00\x7e" * 4, b"\x00" * 8])
async def test_a_key_that_an_import_brought_and_no_model_wrote_does_no_harm(
    store: SqliteStore, recalls: Recalls, wrong: bytes
) -> None:
    await taught(store, "ann", NURSE, Scope(JOB, wrong, MODEL))
    known = await facts(recalls)
    for _ in range(2):  # what cannot be compared with the query's key shows then
        about(known, ABOUT_WORK)
        known.learn(dict.fromkeys(known.to_read([]), ABOUT_WORK))
    assert about(known, ABOUT_WORK) == [NURSE]
