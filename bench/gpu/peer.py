"""Asks vLLM the same questions, in a process of its own (vllm_peer.py)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from server.lm.device import name_of

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONSAFEPATH": "1",  # vLLM must not find this folder's modules
}


@dataclass(frozen=True, slots=True)
class PeerQuestion:
    """What vLLM is to be asked. It outlives the model, whose memory vLLM needs."""

    config: dict[str, Any]
    asked: dict[str, Any]

    @classmethod
    def about(
        cls, model: PreTrainedModel, texts: Sequence[Sequence[int]], rounds: int
    ) -> PeerQuestion:
        """The probabilities of all tokens of `texts`, by a model of this shape."""
        config = {**model.config.to_dict(), "architectures": [type(model).__name__]}
        asked = {
            "texts": texts,
            "rounds": rounds,
            "number_format": name_of(model.dtype),
            "context_tokens": max(map(len, texts)) + 1,
        }
        return cls(config, asked)


def python_with_vllm() -> str:
    """This Python if it has vLLM, else nothing."""
    return sys.executable if importlib.util.find_spec("vllm") else ""


def vllm_seconds(python: str, question: PeerQuestion, timeout_s: float) -> float | None:
    """The median seconds that vLLM takes; None, with lines that say why, if it does not answer.

    `python` is an interpreter that has vLLM.
    """
    script = Path(__file__).with_name("vllm_peer.py")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(question.config))
        (folder / "asked.json").write_text(json.dumps(question.asked))
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [python, str(script), name],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # vLLM starts processes of its own, which end with it
            )
            try:
                process.wait(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                print(f"vLLM was stopped after {timeout_s:.0f} s")
            finally:
                _end(process)
        found = folder / "found.json"
        if found.exists():
            return float(json.loads(found.read_text())["seconds"])
        print("vLLM did not answer:", *(folder / "log").read_text().splitlines()[-3:], sep="\n  ")
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process and of those that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
