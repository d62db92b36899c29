"""The demo with the default model: what a user sees first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.processes import ROOT

pytestmark = [pytest.mark.story, pytest.mark.usefixtures("default_model")]

CONCEPTNET = ROOT.parent / "shared" / "data" / "conceptnet100k.tsv"


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_story_is_told_on_the_starter_graph() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All as told" in done.stdout
    assert "P(z|q) before" in done.stdout
    assert "forward passes" in done.stdout


def test_the_story_is_told_on_real_conceptnet_triples() -> None:
    if not CONCEPTNET.exists():
        pytest.skip(
            "../shared/data/conceptnet100k.tsv is not here (Li et al. 2016, conceptnet train100k)"
        )
    done = demo("--graph", str(CONCEPTNET))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mismatch_ends_with_an_error(tmp_path: Path) -> None:
    graph = tmp_path / "cats.tsv"
    graph.write_text("Desires\tcat\tcream\nDesires\tcat\tfish\n")
    done = demo("--graph", str(graph))
    assert done.returncode == 1
    assert "demo:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_graph_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = demo("--graph", str(tmp_path / "none.tsv"))
    assert done.returncode == 2
    assert "none.tsv" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_leaves_no_process_behind() -> None:
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "alice" in line:  # the server runs, and was asked
            break
    os.killpg(running.pid, signal.SIGINT)
    _, complaint = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "Traceback" not in complaint
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
