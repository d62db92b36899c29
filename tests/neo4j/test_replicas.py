"""Two server processes over one Neo4j, which callers may take for one.

Every call goes to the one that did not answer the call before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgt.client import AsyncClient
from kgt.errors import NotFound, Unavailable
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users
from testbed.processes import server_process
from tests.rpc.running import BASE, ENJOY, FEED, VOCABULARY

pytestmark = pytest.mark.story

FIXED = "tests.rpc.fixed_server"
Replicas = tuple[AsyncClient, AsyncClient]


@pytest.fixture
async def replicas(neo4j_database: Database, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Clients of two servers that find the database by `neo4j://`, as in a cluster."""
    login = neo4j_database.login
    await fill(login, BASE, VOCABULARY, tmp_path / "base")
    await forget_users(login)
    environment = {
        "KGT_STORE": login.url.replace("bolt://", "neo4j://"),
        "KGT_NEO4J_USER": login.user,
        "KGT_NEO4J_PASSWORD": login.password,
    }
    with (
        server_process(FIXED, tmp_path, env=environment) as one,
        server_process(FIXED, tmp_path, env=environment) as other,
    ):
        async with (
            AsyncClient(one.address, timeout_s=60) as first,
            AsyncClient(other.address, timeout_s=60) as second,
        ):
            yield first, second
    await forget_users(login)


async def test_what_one_replica_wrote_the_other_reads_and_goes_on_from(replicas: Replicas) -> None:
    first, second = replicas
    for revision in range(1, 8, 2):
        for here, there, step in ((first, second, 0), (second, first, 1)):
            answer = f"fish {revision + step}"
            made = await here.personalize(user="alice", query=ENJOY, answer=answer)
            assert made.edit.revision == revision + step
            read = await there.answer(user="alice", query=FEED, min_revision=made.edit.revision)
            assert (read.text, read.revision) == (answer, revision + step)
    with pytest.raises(Unavailable) as early:
        await second.answer(user="alice", query=FEED, min_revision=99)
    assert early.value.reason == "REVISION_NOT_REACHED"


async def test_a_listing_and_a_repeated_request_may_go_on_at_the_other_replica(
    replicas: Replicas,
) -> None:
    first, second = replicas
    facts = [("dog", "has a", f"hat {n}") for n in range(5)]
    made = await first.edit_facts(user="alice", add=facts, request_id="r-1")
    assert await second.edit_facts(user="alice", add=facts, request_id="r-1") == made
    page = await first.list_facts(user="alice", page_size=3)
    rest = await second.list_facts(user="alice", page_size=3, page_token=page.next_page_token)
    assert sorted(f.triple.tail for f in [*page.facts, *rest.facts]) == [t for _, _, t in facts]
    await second.erase_user(user="alice")
    with pytest.raises(NotFound):
        await first.list_facts(user="alice", page_size=3, page_token=page.next_page_token)


async def test_whom_one_replica_erased_the_other_does_not_know(replicas: Replicas) -> None:
    first, second = replicas
    plain = (await second.answer(user="bob", query=ENJOY)).text
    await first.personalize(user="alice", query=ENJOY, answer="fish")
    assert (await second.answer(user="alice", query=ENJOY)).text == "fish"
    await first.erase_user(user="alice")
    assert (await second.answer(user="alice", query=ENJOY)).text == plain
    begun = await second.personalize(user="alice", query=ENJOY, answer="carrots")
    assert begun.edit.revision == 1
    assert (await first.answer(user="alice", query=ENJOY)).text == "carrots"
