"""What each tool does, called with the SDK's client over stdio."""

from __future__ import annotations

import json

from kgt.client import Client as KgtClient
from tests.kgt.mcp.running import called, refused, stdio
from tests.rpc.running import ENJOY, FEED

CARROTS = {"subject": "dog", "relation": "Desires", "object": "carrots"}
MEAT = {"subject": "dog", "relation": "Desires", "object": "meat"}


async def test_a_model_is_told_what_each_tool_is_for(service: str) -> None:
    async with stdio(service, "reader") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        instructions = client.instructions
    assert set(tools) == {
        "remember", "recall", "answer", "what_do_you_know", "correct", "undo", "forget_me",
    }  # fmt: skip
    for tool in tools.values():
        assert len(tool.description or "") > 50
        assert "\n  " not in (tool.description or ""), "no indentation"
        assert tool.output_schema
        assert all("description" in field for field in tool.input_schema["properties"].values())
        assert tool.annotations is not None
    assert "`recall`" in (instructions or "")
    read_only = {
        name for name, t in tools.items() if t.annotations and t.annotations.read_only_hint
    }
    assert read_only == {"recall", "answer", "what_do_you_know"}


async def test_no_tool_lets_a_model_say_whose_memory_it_means(service: str) -> None:
    async with stdio(service, "reader") as client:
        tools = (await client.list_tools()).tools
        other = await called(client, "recall", question=ENJOY, user="alice")
        assert all("user" not in tool.input_schema["properties"] for tool in tools)
    with KgtClient(service) as kgt:
        kgt.personalize(user="alice", query=ENJOY, answer="caviar")
    async with stdio(service, "reader") as client:
        assert await called(client, "recall", question=ENJOY, user="alice") == other


async def test_a_correction_is_recalled_answered_listed_and_undone(service: str) -> None:
    async with stdio(service, "ann") as client:
        made = await called(client, "correct", question=FEED, answer="carrots")
        assert (made["learned"], made["answer_before"], made["answer_after"]) == (
            True, "meat", "carrots",
        )  # fmt: skip
        assert (made["added"], made["removed"]) == ([CARROTS], [MEAT])

        found = await called(client, "recall", question=FEED, max_facts=1)
        [fact] = found["facts"]
        assert fact["words"] == "my dog likes carrots"
        assert (fact["personal"], fact["edit_id"]) == (True, made["edit_id"])
        assert "- my dog likes carrots" in found["context"]
        answered = await called(client, "answer", question=FEED)
        assert (answered["text"], answered["facts"][0]) == ("carrots", CARROTS)

        known = await called(client, "what_do_you_know")
        assert {(f["status"], f["statement"]["object"]) for f in known["facts"]} == {
            ("told", "carrots"), ("removed", "meat"),
        }  # fmt: skip
        assert {f["edit_id"] for f in known["facts"]} == {made["edit_id"]}
        around = await called(client, "what_do_you_know", about="dog")
        assert {f["status"] for f in around["facts"]} == {"told", "removed", "general"}

        undone = await called(client, "undo", edit_id=made["edit_id"])
        assert (undone["added"], undone["removed"]) == ([MEAT], [CARROTS])
        assert (await called(client, "answer", question=FEED))["text"] == "meat"


async def test_what_the_user_says_is_remembered_replaced_and_undone(service: str) -> None:
    async with stdio(service, "teller") as client:
        made = await called(client, "remember", text="My dog is named Rex.")
        [fact] = made["facts"]
        assert (fact["words"], fact["fate"]) == ("my dog is named Rex", "learned")
        assert fact["source"] == "My dog is named Rex."
        renamed = await called(client, "remember", text="My dog is named Max.")
        [now] = renamed["facts"]
        assert [old["object"] for old in now["replaced"]] == ["Rex"]
        await called(client, "undo", edit_id=renamed["edit_id"])
        known = await called(client, "what_do_you_know")
        assert [f["statement"]["object"] for f in known["facts"]] == ["Rex"]
        assert await called(client, "remember", text="Hello!") == {
            "edit_id": "", "facts": [], "not_understood": [],
        }  # fmt: skip


async def test_where_nothing_fits_nothing_is_recalled(service: str) -> None:
    async with stdio(service, "ann") as client:
        found = await called(client, "recall", question="What does a unicorn enjoy?")
    assert found == {"context": "", "facts": []}


async def test_nothing_is_erased_without_a_confirmation(service: str) -> None:
    async with stdio(service, "leaver") as client:
        await called(client, "correct", question=ENJOY, answer="fish")
        assert "ask the user" in await refused(client, "forget_me", confirmed=False)
        assert (await called(client, "what_do_you_know"))["facts"]
        assert await called(client, "forget_me", confirmed=True) == {"changes": 1, "facts": 2}
        assert (await called(client, "what_do_you_know"))["facts"] == []


async def test_the_services_errors_are_errors_of_the_tool(service: str) -> None:
    async with stdio(service, "ann") as client:
        assert "UNKNOWN_EDIT" in await refused(client, "undo", edit_id="e-1")
        too_long = await refused(client, "recall", question="word " * 200_000)
        assert "INVALID_FIELD" in too_long
        assert "query" in too_long
        assert "max_facts" in await refused(client, "recall", question=ENJOY, max_facts=0)
        assert "word word" not in too_long


async def test_a_service_that_is_not_there_is_an_error_of_the_tool() -> None:
    async with stdio("127.0.0.1:1", "ann") as client:
        assert "Unavailable" in await refused(client, "answer", question=ENJOY)


async def test_a_result_is_also_text_for_clients_that_read_only_that(service: str) -> None:
    async with stdio(service, "ann") as client:
        result = await client.call_tool("recall", {"question": ENJOY})
    [content] = result.content
    assert content.type == "text"
    assert json.loads(content.text) == result.structured_content
