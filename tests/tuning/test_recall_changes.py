"""Facts from one revision to the next, and for how long they are kept in memory."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest

from server.errors import UnknownRevision
from server.graph.triple import Triple
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore
from server.tuning.ports import Erased
from server.tuning.recalls import Recalls
from tests.tuning.recalling import (
    ABOUT_DOGS,
    ABOUT_WORK,
    CARROTS,
    FLOOR,
    JOB,
    NURSE,
    PILOT,
    WORK,
    about,
    facts,
    key,
    scope,
)
from tests.tuning.teaching import VOCABULARY, reverted, taught, told, untold


async def damage(store: SqliteStore, revision: int) -> None:
    with (
        contextlib.closing(sqlite3.connect(store.folder / OVERLAYS_FILE)) as connection,
        connection,
    ):
        connection.execute("UPDATE edits SET body = '{' WHERE revision = ?", (revision,))


# From one revision to the next


async def test_later_edits_are_followed_and_keys_that_were_read_stay(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB))
    first = await facts(recalls)
    first.learn({JOB: ABOUT_WORK})
    await taught(store, "ann", CARROTS, scope("What does my dog eat?", ABOUT_DOGS))
    later = await facts(recalls)
    assert (len(first), len(later), later.at.revision) == (1, 2, 2)
    assert later.to_read([]) == []
    assert about(later, key(1, 1)) == [CARROTS, NURSE]
    await untold(store, "ann", NURSE)
    assert about(await facts(recalls), key(1, 1)) == [CARROTS]
    assert about(later, key(1, 1)) == [CARROTS, NURSE], "a request under way sees what it saw"


async def test_what_is_followed_is_what_reading_anew_gives(store: SqliteStore) -> None:
    followed, seen, by_words = Recalls(store, VOCABULARY), [], []
    edits = [await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))]
    steps = [
        lambda: taught(store, "ann", PILOT, scope(WORK, key(1, 0.1))),
        lambda: untold(store, "ann", NURSE),
        lambda: told(store, "ann", CARROTS, NURSE),
        lambda: reverted(store, "ann", edits[3]),
        lambda: reverted(store, "ann", edits[2]),
        lambda: taught(store, "ann", NURSE, scope(WORK, key(1, 0.1))),
        lambda: reverted(store, "ann", edits[1]),
    ]
    for step in [None, *steps]:
        if step is not None:
            edits.append(await step())
        one, anew = await facts(followed), await facts(Recalls(store, VOCABULARY))
        assert one.at == anew.at
        for asked in (ABOUT_WORK, ABOUT_DOGS):
            named = ["dog", "i"]
            assert one.to_read(named) == anew.to_read(named)
            assert one.about(asked, FLOOR, named) == anew.about(asked, FLOOR, named)
        by_words.append(one.likely("carrots for a nurse", named, 0, 9))
        assert by_words[-1] == anew.likely("carrots for a nurse", named, 0, 9)
        seen.append(about(one, ABOUT_WORK))
    assert seen == [
        [NURSE],
        [NURSE, PILOT],
        [PILOT],
        [PILOT],  # told, NURSE answers its own words, whose key is not known
        [PILOT],
        [NURSE, PILOT],  # the revert put the mark back that JOB taught
        [NURSE, PILOT],
        [NURSE],
    ]
    assert list(map(len, by_words)) == [0, 0, 0, 2, 0, 0, 0, 0]


async def test_a_revert_puts_back_what_the_fact_answered_even_where_no_fact_was_left(
    store: SqliteStore, recalls: Recalls
) -> None:
    taught_ = await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    away = await reverted(store, "ann", taught_)
    assert len(await facts(recalls)) == 0
    await reverted(store, "ann", away)
    assert about(await facts(recalls), ABOUT_WORK) == [NURSE]


async def test_many_edits_at_once_are_read_anew(store: SqliteStore, recalls: Recalls) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    assert len(await facts(recalls)) == 1
    for n in range(201):
        await told(store, "ann", Triple.of("dog", "HasA", f"idea {n}"))
    known = await facts(recalls)
    assert (len(known), known.at.revision) == (202, 202)
    assert about(known, ABOUT_WORK) == [NURSE]


async def test_an_erased_overlay_with_the_same_revision_is_another_one(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    assert about(await facts(recalls), ABOUT_WORK) == [NURSE]
    await store.erase("ann")
    assert len(await facts(recalls)) == 0
    await taught(store, "ann", PILOT, scope(JOB, ABOUT_WORK))
    assert about(await facts(recalls), ABOUT_WORK) == [PILOT]
    await store.erase("ann")
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    assert about(await facts(recalls), ABOUT_WORK) == [NURSE], "nobody asked in between"


async def test_the_facts_at_an_earlier_revision_are_those_of_then(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    await untold(store, "ann", NURSE)
    await taught(store, "ann", PILOT, scope(JOB, ABOUT_WORK))
    seen = [about(await facts(recalls, revision), ABOUT_WORK) for revision in (0, 1, 2, 3, None)]
    assert seen == [[], [NURSE], [], [PILOT], [PILOT]]
    assert (await facts(recalls, 1)).at.revision == 1
    with pytest.raises(UnknownRevision):
        await facts(recalls, 4)
    with pytest.raises(UnknownRevision):
        await facts(recalls, 1, user="bob")


# Damage and memory


@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_fact_whose_edit_is_damaged_answers_its_own_words_and_hinders_no_other(
    store: SqliteStore, recalls: Recalls, asked_before: bool
) -> None:
    await taught(store, "ann", PILOT, scope(JOB, ABOUT_WORK))
    if asked_before:
        await facts(recalls)
    await taught(store, "ann", CARROTS, scope("What does my dog eat?", ABOUT_DOGS))
    await taught(store, "ann", NURSE, scope(WORK, ABOUT_WORK))
    await damage(store, 2)
    known = await facts(recalls)
    assert about(known, ABOUT_WORK) == [NURSE, PILOT]
    assert about(known, ABOUT_DOGS, "dog") == []
    assert known.to_read(["dog"]) == ["dog likes carrots"]


async def test_users_who_asked_long_ago_make_room_for_others(store: SqliteStore) -> None:
    overlays = 0
    plain = store.overlay

    async def counted(user: str) -> object:
        nonlocal overlays
        overlays += 1
        return await plain(user)

    store.overlay = counted  # type: ignore[method-assign, assignment]
    for user in ("ann", "bob", "cat"):
        await taught(store, user, NURSE, scope(JOB, ABOUT_WORK))
    each = (await facts(Recalls(store, VOCABULARY))).bytes
    recalls, overlays = Recalls(store, VOCABULARY, most_bytes=2 * each), 0
    for user in ("ann", "bob", "ann", "cat", "ann"):
        assert about(await facts(recalls, user=user), ABOUT_WORK) == [NURSE]
    assert overlays == 3
    await facts(recalls, user="bob")
    assert overlays == 4
    recalls.forget("bob")
    await facts(recalls, user="bob")
    assert overlays == 5


async def test_what_was_being_read_when_a_user_was_erased_is_not_kept(
    store: SqliteStore, recalls: Recalls
) -> None:
    await taught(store, "ann", NURSE, scope(JOB, ABOUT_WORK))
    entered, go_on = asyncio.Event(), asyncio.Event()
    plain = store.history

    async def slow(user: str) -> object:
        edits = await plain(user)
        entered.set()
        await go_on.wait()
        return edits

    store.history = slow  # type: ignore[method-assign, assignment]
    reading = asyncio.ensure_future(facts(recalls))
    await entered.wait()
    assert await store.erase("ann") != Erased()
    recalls.forget("ann")
    go_on.set()
    assert len(await reading) == 1, "the request began before the erase"
    assert recalls.users == 0
