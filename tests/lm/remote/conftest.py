from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.remote.address import ModelAddress
from server.lm.remote.loading import RemoteChoice
from tests.lm.remote.peer import NAME, Peer
from tests.lm.tiny_models import make_llama


@pytest.fixture(scope="session")
def decided_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose next token is seldom in doubt, unlike that of random weights as they are.

    Its tokenizer sets a beginning-of-sequence token.
    """
    folder = make_llama(tmp_path_factory.mktemp("decided"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(40)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def running_peer(decided_folder: Path) -> Iterator[Peer]:
    peer = Peer(decided_folder)
    yield peer
    peer.close()


@pytest.fixture
def peer(running_peer: Peer) -> Iterator[Peer]:
    """The server, with good manners."""
    running_peer.reset()
    yield running_peer
    running_peer.reset()


@pytest.fixture(scope="session")
def choice(running_peer: Peer, decided_folder: Path, session_cache: Path) -> RemoteChoice:
    address = ModelAddress.parse(f"openai+{running_peer.url}#{NAME}")
    return RemoteChoice(address, "", str(decided_folder), session_cache, queue=4)


@pytest.fixture(scope="session")
def loaded_keys(llama_folder: Path, session_cache: Path) -> LoadedModel:
    """The weights of the model on this machine that reads keys."""
    return load(ModelChoice(str(llama_folder), "none", session_cache, "cpu", "float32"))
