"""The graph: what one thread was told, another thread of the same user knows."""

from __future__ import annotations

from tests.examples.conftest import Guarded
from tests.examples.running import ran
from tests.rpc.running import NAME


async def test_a_new_thread_still_knows_the_user(guarded: Guarded) -> None:
    service, endpoint = guarded.service, guarded.endpoint
    arguments = ["--server", service.address, "--base-url", endpoint.url, "--model", "own"]
    said = f"My dog is named Rex.\n{NAME}\n/new\n{NAME}\n"
    status, printed, complaint = await ran(
        "langgraph_memory.py", "-u", "alice", *arguments, said=said, env=guarded.environment
    )
    assert (status, complaint) == (0, "")
    assert printed.splitlines()[1:] == ["Rex", "Rex"]
    told, asked, anew = endpoint.asked
    assert "Rex" not in told[0]["content"]
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "user"]
    assert [message["role"] for message in anew] == ["system", "user"]
    assert all("- my dog is named Rex" in messages[0]["content"] for messages in (asked, anew))
    assert len((await service.client.list_edits(user="alice")).edits) == 1
