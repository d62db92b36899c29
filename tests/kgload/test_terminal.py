"""The loader on a terminal: a bar with rows, rate and time left, then tables; else plain lines."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.generate import generate
from kgload.report import Report
from testbed.processes import ROOT


def on_a_terminal(*command: str) -> str:
    """The output of a command on a terminal of 100 columns. Raises AssertionError if it fails."""
    near, far = pty.openpty()
    written: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(near, 1 << 16)
            except OSError:  # the other end is closed
                return
            if not data:
                return
            written.append(data)

    reader = threading.Thread(target=read)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=far, stdout=far, stderr=far, env=environment
    )
    os.close(far)
    reader.start()
    status = process.wait(timeout=300)
    reader.join(timeout=60)
    os.close(near)
    text = b"".join(written).decode()
    assert status == 0, text
    return text


def plain(text: str) -> list[str]:
    """The lines without colours and movements."""
    return [
        line
        for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))
        if line.strip()
    ]


def test_a_load_on_a_terminal_shows_bars_and_ends_with_tables(tmp_path: Path) -> None:
    generate(tmp_path / "dump.csv", 20_000)
    lines = plain(
        on_a_terminal(
            sys.executable, "-m", "kgload", "conceptnet", str(tmp_path / "dump.csv"),
            "--data", str(tmp_path / "data"),
            "--batch", "500",
        )
    )  # fmt: skip
    for phase in (
        "reading and filtering",
        "merging and sorting the edges",
        "writing the base",
        "completing the base",
    ):
        assert any(line.startswith(phase) and "100%" in line for line in lines), phase
    assert any("│" in line and "RelatedTo" in line for line in lines), "a drawn table by relation"
    for total in ("lines read", "rejected", "kept", "merged into others"):
        assert any("│" in line and total in line for line in lines), total
    assert max(len(line) for line in lines if "│" in line or "━" in line) <= 100


def test_a_bar_tells_rows_rate_and_time_left() -> None:
    script = (
        "import itertools, time; from kgload import report;"
        "clock = itertools.count(0, 5); report.time.monotonic = lambda: next(clock);"
        "r = report.Report()\n"
        "with r.phase('loading the edges', 1000) as phase:\n"
        "  for n in range(1, 6): phase.at(n / 10); phase._bar.refresh()"
    )
    shown = " ".join(plain(on_a_terminal(sys.executable, "-c", script)))
    assert re.search(r"loading the edges\s.*50%.*500 of 1,000 rows, \d+/s", shown), shown
    assert re.search(r"\d:\d\d:\d\d", shown), shown


def test_off_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.phase("loading", 1000) as phase:
        for n in range(11):
            phase.at(n / 10)
    report.table("In all", ("what", "count"), [("kept", 1000)])
    out, err = capsys.readouterr()
    assert [line.split(" ")[1].rstrip() for line in err.splitlines()] == [
        "30%",
        "60%",
        "90%",
        "done",
    ]
    assert out == "In all: what, count\nkept\t1,000\n"
    assert "\x1b" not in out + err
