"""A text that is too long is refused, and the refusal names the field that is too long."""

from __future__ import annotations

from typing import Any

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from tests.rpc.running import ENJOY

WORDS = "word " * 500
"""More than the fixed model's context of 400 words, and less than a field may hold."""


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"answer_before": WORDS}, "answer_before"),
        ({"answer": WORDS, "object": "fish"}, "answer"),
        ({"answer": WORDS, "object": "fish", "answer_before": "meat"}, "answer"),
        ({"query": f"{ENJOY} {WORDS}", "subject": "dog"}, "query"),
        ({"query": f"{ENJOY} {WORDS}", "subject": "dog", "answer_before": "meat"}, "query"),
    ],
)
async def test_personalize_names_the_text_that_is_too_long(
    client: AsyncClient, arguments: dict[str, Any], field: str, verify: bool
) -> None:
    request: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "fish",
        "verify": verify,
    } | arguments
    with pytest.raises(InvalidArgument) as refused:
        await client.personalize(**request)
    assert list(refused.value.fields) == [field]
    assert refused.value.reason == "TEXT_TOO_LONG"
    assert "word" not in str(refused.value)
    assert (await client.list_edits(user="alice")).revision == 0


@pytest.mark.parametrize("query", [ENJOY, "What does a unicorn enjoy?"])
async def test_answer_names_the_candidate_that_is_too_long(client: AsyncClient, query: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.answer(user="alice", query=query, candidates=["meat", "fish", WORDS, "hay"])
    assert list(refused.value.fields) == ["candidates[2]"]
    assert refused.value.reason == "TEXT_TOO_LONG"


@pytest.mark.parametrize("long", ["a" * (1 << 18) + "a", "犬" * 90_000])
async def test_an_answer_before_is_bounded_as_an_answer_is(client: AsyncClient, long: str) -> None:
    for field in ("answer", "answer_before"):
        request: dict[str, Any] = {"user": "alice", "query": ENJOY, "answer": "fish", field: long}
        with pytest.raises(InvalidArgument) as refused:
            await client.personalize(**request)
        assert list(refused.value.fields) == [field]
        assert refused.value.reason == "INVALID_FIELD"


async def test_an_answer_before_may_be_empty(client: AsyncClient) -> None:
    for before in ("", " "):
        response = await client.personalize(
            user="alice", query=ENJOY, answer="fish", answer_before=before, preview=True
        )
        assert response.answer_before == ""
