"""A real server of others: llama-cpp-python's, with the default model's own GGUF file."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from server.errors import ModelUnusable
from server.lm.fetch import fetch_gguf
from server.lm.folders import default_model_folder, xdg_cache_folder
from server.lm.loading import LoadedModel
from server.lm.remote.address import ModelAddress
from server.lm.remote.loading import RemoteChoice, connected
from server.lm.remote.remote_model import RemoteModel
from server.lm.tokens import Tokenizer
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import LanguageModel
from testbed.processes import free_port
from tests.conformance.language_model import FACTS, RETRIEVAL, LanguageModelConformance

pytestmark = [pytest.mark.story, pytest.mark.asyncio(loop_scope="module")]

CONTEXT = 512
"""Smaller than the texts that are to be too long. The server keeps all logits of so many tokens."""


@pytest.fixture(scope="module")
def gguf() -> Path:
    for package in ("llama_cpp", "fastapi", "sse_starlette", "starlette_context"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"llama-cpp-python[server] is not installed: {package} is missing")
    try:
        return fetch_gguf(xdg_cache_folder().expanduser())
    except ModelUnusable as missing:
        pytest.skip(f"the default model's GGUF file is missing: {missing}")


@pytest.fixture(scope="module")
def address(gguf: Path) -> Iterator[ModelAddress]:
    """The server, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port)]
    options = ["--logits_all", "true", "--n_ctx", str(CONTEXT), "--n_threads", "1"]
    server = subprocess.Popen(
        [*command, "--model", str(gguf), *options, "--n_threads_batch", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield ModelAddress.parse(f"openai+http://127.0.0.1:{port}/v1")
    server.terminate()
    server.wait(60)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remote(address: ModelAddress, loaded_keys: LoadedModel) -> AsyncIterator[RemoteModel]:
    cache = xdg_cache_folder().expanduser()
    if not default_model_folder(cache).exists():
        pytest.skip("the default model's tokenizer is missing: `python -m server.lm.fetch`")
    choice = RemoteChoice(address, "", "smollm2", cache, queue=64)
    model = await asyncio.to_thread(connected, choice, lambda: TransformersModel(loaded_keys))
    yield model
    await asyncio.to_thread(model.close)


class TestLlamaCpp(LanguageModelConformance):
    """It rounds what it multiplies with 4-bit weights to 8 bits, and adds up in an order that
    depends on what it had read before: up to 0.09 in a continuation of five tokens were seen."""

    within = 0.25
    repeats_within = 0.25

    @pytest.fixture
    def language_model(self, remote: RemoteModel) -> LanguageModel:
        return remote


async def test_it_is_asked_in_the_way_that_is_right_and_cheapest(remote: RemoteModel) -> None:
    """Its echo has each token's log-probability after that token, without a beginning token."""
    assert str(remote.dialect) == "bias, single texts"


async def test_it_says_what_the_same_weights_say_here(remote: RemoteModel) -> None:
    """Those of the file, without 4-bit arithmetic and without KGT's packed passes."""
    folder = default_model_folder(xdg_cache_folder().expanduser())
    tokenizer = Tokenizer(AutoTokenizer.from_pretrained(folder), CONTEXT)
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    branches = [RETRIEVAL, FACTS[0]]
    scores = await remote.score(branches)
    found = [logprob for row in scores.logprobs for logprob in row]
    for sequence, logprob in zip(tokenizer.sequences(branches), found, strict=True):
        with torch.inference_mode():
            said = plain(input_ids=torch.tensor([sequence.tokens])).logits[0].log_softmax(-1)
        places = range(sequence.scored_from, len(sequence.tokens))
        expected = sum(float(said[at - 1, sequence.tokens[at]]) for at in places)
        assert logprob.tokens == len(places)
        assert logprob.total / logprob.tokens == pytest.approx(expected / len(places), abs=0.3)
