"""From the settings to a model on another server: its tokenizer, and the check of what it says."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from server.errors import ModelUnusable, StartupError
from server.lm import defaults
from server.lm.folders import DEFAULT_MODEL, default_model_folder
from server.lm.loading import load_tokenizer
from server.lm.progress import Progress
from server.lm.remote.address import ModelAddress
from server.lm.remote.check import found_dialect, served_model
from server.lm.remote.connection import PATIENCE_S, Connection
from server.lm.remote.dialect import Dialect, Speaker
from server.lm.remote.remote_model import IN_FLIGHT, RemoteModel
from server.lm.tokens import Tokenizer
from server.tuning.ports import LanguageModel, Sight
from server.tuning.watching import UNSEEN

_UNKNOWN_CONTEXT = 1 << 17
"""Where the server does not say how much it reads, until it refuses a text."""


@dataclass(frozen=True, slots=True)
class RemoteChoice:
    """Which model to ask, and how. `tokenizer` is KGT_TOKENIZER; empty for the model's name.

    A server that is not there yet is waited for, for `patience_s` seconds.
    """

    address: ModelAddress
    key: str
    tokenizer: str
    cache: Path
    queue: int = defaults.QUEUE
    patience_s: float = PATIENCE_S

    def __repr__(self) -> str:
        return f"RemoteChoice({self.address})"  # without the key


def connected(
    choice: RemoteChoice,
    keys: Callable[[], LanguageModel],
    stop: threading.Event | None = None,
    *,
    sight: Sight = UNSEEN,
) -> RemoteModel:
    """The model, once its server was found to say what is needed. `keys` loads the model that
    reads keys, which is done last. `sight` watches both.

    Not for the thread of an event loop. Raises ModelUnusable; StartupError once `stop` is set.
    """
    progress = Progress(stop)

    def connection(patience_s: float = PATIENCE_S) -> Connection:
        return Connection(choice.address, choice.key, IN_FLIGHT, patience_s)

    async def checked() -> tuple[str, Tokenizer, Dialect]:
        patient, once = connection(choice.patience_s), connection(0.0)
        try:
            served = await served_model(patient, choice.address.name)
            texts = served_tokenizer(choice.tokenizer or served.id, choice.cache)
            context = min(served.max_model_len or sys.maxsize, texts.model_max_length)
            # The token that is generated with each request needs a place
            tokenizer = Tokenizer(texts, min(context, _UNKNOWN_CONTEXT) - 1)
            return served.id, tokenizer, await found_dialect(once, served.id, tokenizer)
        finally:
            await patient.close()
            await once.close()

    with progress.step("asking the model's server what it can do"):
        name, tokenizer, dialect = asyncio.run(checked())
    said = f"{choice.address.url} {name} {_digest(tokenizer.tokenizer)}"
    return RemoteModel(
        connection,
        Speaker(dialect, name, tokenizer.tokenizer),
        tokenizer,
        keys(),
        f"{hashlib.sha256(said.encode()).hexdigest()[:16]}-remote",
        choice.queue,
        sight=sight,
    )


def served_tokenizer(place: str, cache: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of the model that is served: a folder, a tokenizer.json, a GGUF file or a hub
    id. Raises ModelUnusable."""
    path = Path(place).expanduser()
    try:
        if place == DEFAULT_MODEL:
            return load_tokenizer(str(default_model_folder(cache)))
        if path.suffix == ".json" and path.is_file():
            return PreTrainedTokenizerFast(tokenizer_file=str(path))
        if path.suffix == ".gguf" and path.is_file():
            return load_tokenizer(str(path.parent), gguf_file=path.name)
        if path.is_dir() or place.count("/") == 1:
            return load_tokenizer(place)
    except StartupError as error:
        raise ModelUnusable(
            f"{error}. KGT_TOKENIZER names the tokenizer of the model that is served"
        ) from error
    raise ModelUnusable(
        "KGT_TOKENIZER: set it to the tokenizer of the model that is served: a folder, a"
        " tokenizer.json, a .gguf file or a hub id"
    )


def _digest(tokenizer: PreTrainedTokenizerBase) -> str:
    vocabulary = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(repr(vocabulary).encode()).hexdigest()[:16]
