"""A few thousand calls of anything to every RPC; `make fuzz` makes more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.fuzzer import Call, Fuzzer, fuzzing
from tests.fuzz.messages import CANARY, METHODS, mostly, requests
from tests.rpc.running import Running

EXAMPLES = int(os.environ.get("KGT_FUZZ_EXAMPLES", "120"))
_ORDER = settings(
    max_examples=EXAMPLES,
    deadline=None,
    # The same calls in every run, so that a change is judged by what it does; `make fuzz` draws
    # others.
    derandomize="KGT_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fuzzer, Running]]:
    with fuzzing(tmp_path_factory.mktemp("fuzz")) as started:
        yield started


def calls() -> st.SearchStrategy[Call]:
    """A call of any RPC, with its message (several for a stream) or with bytes that are not one."""

    def of(method: str) -> st.SearchStrategy[Call]:
        most = 3 if METHODS[method].client_streaming else 1
        sent = st.lists(requests(method), min_size=1, max_size=most)
        raw = st.binary(max_size=60).map(lambda raw: Call(method, raw=raw))
        return mostly(sent.map(lambda messages: Call(method, messages)), raw)

    return st.sampled_from(sorted(METHODS)).flatmap(of)


@_ORDER
@given(st.lists(calls(), min_size=20, max_size=30))
def test_nothing_that_is_sent_hurts_anybody(
    attacked: tuple[Fuzzer, Running], sent: list[Call]
) -> None:
    fuzzer, _ = attacked
    for call in sent:
        fuzzer.send(call)
    fuzzer.check_witness()
    fuzzer.check_log()


def test_what_was_accepted_can_be_listed_exported_taken_back_and_erased(
    attacked: tuple[Fuzzer, Running], tmp_path: Path
) -> None:
    """After all of the above, every user's overlay is whole. It can be exported and imported, and
    it is erased without a trace."""
    fuzzer, service = attacked
    assert asyncio.run(service.store.check()) == []
    for method in METHODS:  # a fuzzer that gets nowhere would find nothing
        assert fuzzer.outcomes[method, "OK"] > 0, fuzzer.outcomes
    with fuzzing(tmp_path) as (other, _):
        for user in sorted(fuzzer.users):
            _take_over(fuzzer, other, user)
    fuzzer.check_log()
    for path in service.store.folder.iterdir():
        assert CANARY.encode() not in path.read_bytes(), path.name


def _take_over(fuzzer: Fuzzer, other: Fuzzer, user: str) -> None:
    """The user's history, listed, exported into another server and erased here."""
    token, revisions = "", []
    while True:
        page = fuzzer.one("ListEdits", user=user, page_size=7, page_token=token)
        revisions += [edit.revision for edit in page.edits]
        token = page.next_page_token
        if not token:
            break
    assert revisions == list(range(len(revisions), 0, -1))
    lines = [r.line for r in fuzzer.responses("ExportOverlay", user=user)]
    if revisions:
        taken = other.one("ImportOverlay", user=user, lines=lines)
        assert taken.revision == len(revisions)
        assert [r.line for r in other.responses("ExportOverlay", user=user)][1:-1] == lines[1:-1]
    fuzzer.one("EraseUser", user=user)
    with pytest.raises(grpc.RpcError):
        fuzzer.one("GetNeighborhood", user=user, concept="dog", at_revision=1)
