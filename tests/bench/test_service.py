"""The rows that bench.service prints, from a server with known answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import service, workload
from testbed.processes import server_process

FIXED = "tests.rpc.fixed_server"


def test_retrieving_has_rows_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload.build_graph(tmp_path, service.CONCEPTS, service.TRIPLES_EACH)
    with server_process(FIXED, tmp_path) as server:
        run = ["--clients", "1,2", "--least", "6", "--address", server.address]
        service.main([*run, "--retrieve"])
    rows = json.loads(capsys.readouterr().out.rpartition("\n")[0].rpartition("\n")[2])
    assert [(row["clients"], row.get("request")) for row in rows] == [
        (1, None), (1, "retrieve"), (2, None), (2, "retrieve"),
    ]  # fmt: skip
    assert {row["errors"] for row in rows} == {0}
    assert all(row["reads_p50_ms"] > 0 for row in rows)
