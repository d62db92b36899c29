"""The files of a real Neo4j hold nothing about erased users.

It has the settings of docker/neo4j.conf, except for its clock.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server.errors import Unavailable
from server.graph.edit import Account, Change, Edit, EditKind, StopReason
from server.graph.triple import Triple
from server.stores.neo4j.blanks import advice_on_logs, log_settings
from server.stores.neo4j.connection import Connection
from server.stores.neo4j.store import Neo4jStore
from server.tuning.ports import RequestRecord
from testbed.neo4j import ProcessNeo4j, Unobtainable, neo4j_process
from testbed.processes import until
from tests.conformance.graph_store import CARROTS, VOCABULARY, add, added, t

pytestmark = pytest.mark.story

AS_IN_COMPOSE = ("db.tx_log.rotation.retention_policy=keep_none", "db.tx_log.rotation.size=1m")
FIRST = "ÀÁÂÃÄÅÆÇ"
"""The letter with which each user's texts begin."""
USERS = [f"{letter}rsula Über+" for letter in FIRST[:6]]
PAGE_BYTES, RECORD_BYTES = 8_192, 41
EDITS = 25


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessNeo4j]:
    """A Neo4j that checks every few seconds whether a checkpoint is due."""
    settings = (*AS_IN_COMPOSE, "db.checkpoint.interval.time=2s")
    try:
        with neo4j_process(
            tmp_path_factory.mktemp("erasing") / "neo4j", "lts", settings=settings
        ) as started:
            yield started
    except Unobtainable as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def store(database: ProcessNeo4j) -> AsyncIterator[Neo4jStore]:
    opened = await Neo4jStore.open(database.login, VOCABULARY)
    yield opened
    await opened.close()


async def test_the_files_hold_nothing_about_erased_users_that_can_be_read(
    store: Neo4jStore, database: ProcessNeo4j
) -> None:
    for number, user in enumerate(USERS):
        await fill(store, user, number)
        assert "transactions" in kinds(found(database.data, number))
    numbers = range(len(USERS))
    until(lambda: all(found(database.data, n) for n in numbers), "the pages to be written")
    stores = {"propertystore.db", "propertystore.db.strings", "propertystore.db.arrays"}
    assert stores <= kinds(found(database.data, 0)), (
        "the search sees each form in which Neo4j keeps texts"
    )
    for number, user in enumerate(USERS[:-1]):
        await store.erase(user)

        def is_gone(number: int = number) -> bool:
            return found(database.data, number) == {}

        until(is_gone, "the erased texts to be gone", 60)
        if number % 2 == 0:  # others go on meanwhile
            await add(store, USERS[-1], t("dog", "HasA", f"idea {number}"))
    assert found(database.data, len(USERS) - 1), "the user who is not erased is still there"
    assert await store.check() == []
    database.stop()
    left = [found(database.data, number) for number in range(len(USERS) - 1)]
    database.start()
    assert left == [{}] * (len(USERS) - 1)


async def fill(store: Neo4jStore, user: str, number: int) -> None:
    """Write a user's history, in which every text says whose it is, short and long ones."""
    for made in range(EDITS):
        snapshot = await store.snapshot(user)
        revision = snapshot.revision + 1
        mark = f"{FIRST[number]}own+"
        triples = [
            t(f"{mark} {made}", f"{FIRST[number]}rel+", f"{mark} tail {made} {place}")
            for place in range(2)
        ]
        triples.append(t("dog", "HasA", f"{mark} {made} " + "a longer text of this user " * 9))
        changes = tuple(_change(triple, revision, place) for place, triple in enumerate(triples))
        why = Account(
            query=f"What is {mark} {made}? " * 5,
            answer=mark,
            subject=mark,
            object=mark,
            relations=(f"{FIRST[number]}rel+",),
            loss_before=1.0,
            loss_after=0.5,
            stop_reason=StopReason.LOSS,
            converged=True,
            answer_before=mark * 9,
            answer_after=mark * 90,
        )
        edit = Edit(uuid.uuid4().hex, revision, EditKind.PERSONALIZE, 1, changes, why)
        record = RequestRecord(f"{mark} request {made}", "hash", f"{mark} response".encode() * 20)
        await store.commit(user, snapshot, [edit], record)
    nothing = RequestRecord(f"{mark} request", "hash", f"{mark} response".encode())
    await store.commit(user, await store.snapshot(user), [], nothing)


def _change(triple: Triple, revision: int, position: int) -> Change:
    return Change(triple, None, added(revision, position))


def found(data: Path, number: int) -> dict[str, int]:
    """File -> how often it holds a text of the user.

    Texts are looked for in UTF-8, and in the form that short texts have within a record.
    """
    words = [FIRST[number] + rest for rest in ("own+", "rel+", "rsula")]
    texts = [*words, *(word.lower() for word in words)]
    counts = {}
    for path in sorted(data.rglob("*")):
        if path.is_file() and "system" not in path.parts:
            content = path.read_bytes()
            count = sum(content.count(text.encode()) for text in texts)
            if path.name == "neostore.propertystore.db":
                short = unpacked(content)
                count += sum(short.count(text.encode("latin-1")) for text in texts)
            if count:
                counts[str(path.relative_to(data))] = count
    return counts


def unpacked(content: bytes) -> bytes:
    """The short texts of a file of property records.

    They are Latin-1 in big-endian words, behind a header of 39 bits.
    """
    payloads = []
    for page in range(0, len(content), PAGE_BYTES):
        for start in range(page, page + PAGE_BYTES - RECORD_BYTES, RECORD_BYTES):
            words = struct.unpack(">4Q", content[start + RECORD_BYTES - 32 : start + RECORD_BYTES])
            payloads.append(struct.pack("<4Q", *words))
    packed = b"".join(payloads)
    return (int.from_bytes(packed, "little") >> 7).to_bytes(len(packed), "little")


def kinds(counts: dict[str, int]) -> set[str]:
    """The kinds of these files."""
    return {
        "transactions" if "transactions" in name else Path(name).name.removeprefix("neostore.")
        for name in counts
    }


async def test_what_a_killed_service_left_is_covered_at_the_next_start(
    database: ProcessNeo4j,
) -> None:
    left = await Neo4jStore.open(database.login, VOCABULARY)
    await fill(left, "Çrsula Über+", 7)
    erasing = left._connection.write(lambda tx: left._erase(tx, "Çrsula Über+", None))
    await erasing
    await left.close()
    opened = await Neo4jStore.open(database.login, VOCABULARY)
    await opened._blanks.cover()
    assert (await opened._blanks._due()).records == 0
    await opened.close()


async def test_logs_that_keep_erased_texts_are_told(database: ProcessNeo4j) -> None:
    async with Connection(database.login) as connection:
        settings = await log_settings(connection)
    assert advice_on_logs(settings) == ""
    by_default = {
        "db.tx_log.rotation.retention_policy": "2 days 2G",
        "db.tx_log.rotation.size": "256.00MiB",
    }
    assert "keep_none" in advice_on_logs(by_default)
    large = {**settings, "db.tx_log.rotation.size": "256.00MiB"}
    assert "rotation.size=1m" in advice_on_logs(large)


async def test_a_database_that_takes_no_writes_is_not_well(database: ProcessNeo4j) -> None:
    database.stop()
    database.set("server.databases.read_only=neo4j")
    database.start()
    connection = Connection(database.login)
    store = Neo4jStore(connection, VOCABULARY)
    assert (await store.snapshot("ann")).revision == 0, "reads go on"
    with pytest.raises(Unavailable):
        await store.health()
    with pytest.raises(Unavailable):
        await add(store, "ann", CARROTS)
    await store.close()
