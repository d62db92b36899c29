"""The chat loop: facts in the prompt before an answer, facts learned after a message."""

from __future__ import annotations

from tests.examples.conftest import Guarded
from tests.examples.endpoint import Endpoint
from tests.examples.running import ran
from tests.rpc.running import NAME, Running, triples

CHAT = "chat_with_memory.py"
TOLD = "My dog is named Rex."


def arguments(service: Running, endpoint: Endpoint, user: str = "alice") -> list[str]:
    return ["-u", user, "--server", service.address, "--base-url", endpoint.url, "--model", "own"]


async def test_what_is_told_is_remembered_and_then_in_the_prompt(guarded: Guarded) -> None:
    service, endpoint = guarded.service, guarded.endpoint
    said = f"{TOLD}\n\n{NAME}\n"
    status, printed, complaint = await ran(
        CHAT, *arguments(service, endpoint), said=said, env=guarded.environment
    )
    assert (status, complaint) == (0, "")
    assert "  (remembered: my dog is named Rex)\n" in printed
    assert printed.endswith("Rex\n")
    [edit] = (await service.client.list_edits(user="alice")).edits
    assert triples(edit.added) == [("dog", "is named", "Rex")]
    first, second = endpoint.asked
    assert "Rex" not in first[0]["content"]
    assert "- my dog is named Rex" in second[0]["content"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]


async def test_another_user_of_the_same_endpoint_is_told_nothing(
    service: Running, endpoint: Endpoint
) -> None:
    await service.client.learn(user="alice", text=TOLD)
    _, printed, _ = await ran(CHAT, *arguments(service, endpoint, "bob"), said=f"{NAME}\n")
    assert "Rex" not in printed
    assert "Rex" not in str(endpoint.asked)


async def test_an_endpoint_that_refuses_is_reported_in_a_line(
    service: Running, endpoint: Endpoint
) -> None:
    status, printed, complaint = await ran(
        CHAT, *arguments(service, endpoint), said=f"{NAME}\n", env={"OPENAI_API_KEY": "wrong"}
    )
    assert (status, printed, complaint.count("\n")) == (1, "", 1)
    assert complaint.startswith("AuthenticationError")
