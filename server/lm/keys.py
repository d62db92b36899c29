"""Scope keys: what a query asks, as the state of a layer after the retrieval template's root.

A key is that state, centred and of length 1. Which layer is read, what the centre is, and from
which inner product on two queries ask the same (the floor) was measured for the adapter that ships.
For any other model it is found at the first start, on queries that were written for this project,
and so is whether its states say more after the root or after being asked for one word.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, FiniteFloat, ValidationError
from transformers import PreTrainedModel

from server.lm.folders import keys_folder
from server.lm.progress import Progress
from server.lm.states import hidden_of, layers_of
from server.lm.tokens import Tokenizer
from server.lm.whole import opened, unusable
from server.tuning.ports import Key
from server.tuning.templates import one_word_prompt, root_prompt

ADAPTER_KEYS = "adapter_keys.json"
"""The file of an adapter that was trained for keys."""
_KEPT = 0.8
"""The floor leaves so many of the calibration's near misses below it, which share the query's words
and are harder than most. What is above it is sure: an untrained model's answer is no evidence."""
_CALIBRATION = 2
"""Raised whenever a calibration finds something else, so that none from before is used."""
PROMPTS: Mapping[str, Callable[[str], str]] = {"root": root_prompt, "one word": one_word_prompt}
"""What may be read for a query's key."""
_BATCH = 16

_log = logging.getLogger("kgt")


@dataclass(frozen=True, slots=True)
class KeyRule:
    """How keys are read from a model's states."""

    layer: int
    """The layer whose output is read, counted from 1."""
    centre: Key
    """What is taken off every state: (width,)."""
    floor: float
    """The inner product of two keys from which on their queries may ask the same."""
    sure: float
    """And from which on they surely do."""
    fingerprint: str
    after: str = "root"
    """The prompt that is read: one of PROMPTS."""

    def prompt(self, query: str) -> str:
        """The prompt whose state is the query's key."""
        return PROMPTS[self.after](query)

    def key(self, state: torch.Tensor) -> Key:
        """The key of a state: (width,)."""
        key: Key = _unit(state.float().cpu().numpy()[None] - self.centre)[0]
        return key


class _Written(BaseModel):
    """A rule as a file has it."""

    layer: int = Field(ge=1)
    centre: list[FiniteFloat]
    floor: float = Field(ge=-1, le=1)
    sure: float = Field(ge=-1, le=1)
    after: Literal["root", "one word"] = "root"


def key_rule(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    fingerprint: str,
    adapter: Path | None,
    cache: Path,
    progress: Progress,
) -> KeyRule:
    """The rule that comes with the adapter, or the one that is found for this model.

    What was found is kept in `cache`. `fingerprint` is that of model and adapter. Raises
    ModelUnusable.
    """
    own = adapter / ADAPTER_KEYS if adapter is not None else None
    if own is not None and own.exists():
        return _rule(_own(own, model), fingerprint)
    name = hashlib.sha256(f"{fingerprint} {_CALIBRATION}".encode()).hexdigest()[:16]
    kept = keys_folder(cache) / f"{name}.json"
    with contextlib.suppress(OSError, ValidationError):  # it is found again
        written = _Written.model_validate_json(kept.read_bytes())
        if _fits(written, model):
            return _rule(written, fingerprint)
    with progress.step("finding out how to read keys, once"):
        found = _calibrated(model, tokenizer, progress)
    _keep(found, kept)
    return _rule(found, fingerprint)


def _rule(written: _Written, fingerprint: str) -> KeyRule:
    centre = np.array(written.centre, dtype=np.float32)
    after = "" if written.after == "root" else f" {written.after}"
    said = f"{fingerprint} {written.layer}{after}".encode() + centre.tobytes()
    digest = hashlib.sha256(said).hexdigest()[:16]
    return KeyRule(written.layer, centre, written.floor, written.sure, digest, written.after)


def _own(path: Path, model: PreTrainedModel) -> _Written:
    """An adapter's rule. Raises ModelUnusable."""
    with opened(path) as file:
        text = file.read()
    try:
        written = _Written.model_validate_json(text)
    except ValidationError as error:
        raise unusable(path, "cannot be read as the rule for an adapter's keys") from error
    if not _fits(written, model):
        raise unusable(path, "does not fit the model", "use the one that came with the adapter")
    return written


def _fits(written: _Written, model: PreTrainedModel) -> bool:
    width = model.config.get_text_config().hidden_size
    return len(written.centre) == width and written.layer <= len(layers_of(model))


def _keep(written: _Written, path: Path) -> None:
    """Write the rule where the next start finds it, whole or not at all."""
    partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(written.model_dump_json())
        partial.replace(path)
    except OSError as error:
        _log.warning(
            "%s cannot be written: %s; how to read keys is found out at every start."
            " KGT_CACHE names another folder",
            path.parent,
            error.strerror,
        )
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


# Calibration


def _calibrated(model: PreTrainedModel, tokenizer: Tokenizer, progress: Progress) -> _Written:
    """The prompt and the layer that best separate paraphrases from near misses.

    With it come its mean state and the floor. Of the layers in the upper half, the one with the
    largest area under the curve is taken.
    """
    texts = [text for case in calibration_cases() for text in case]
    found: list[tuple[float, str, int, np.ndarray]] = []
    for after, prompt in PROMPTS.items():
        states = _states(model, tokenizer, list(map(prompt, texts)), progress)
        first = max(1, len(states) // 2)
        found += [(area_of(of), after, n, of) for n, of in enumerate(states, 1) if n >= first]
    _, after, layer, chosen = max(found, key=lambda one: one[0])
    _, near = _products(chosen)
    centre = [round(float(value), 5) for value in chosen.mean(0)]
    floor = round(float(np.quantile(near, _KEPT)), 4)
    return _Written(layer=layer, centre=centre, floor=floor, sure=floor, after=after)


def calibration_cases() -> list[tuple[str, str, str]]:
    """(query, paraphrase, near miss) of each case."""
    text = resources.files("server.lm").joinpath("calibration.jsonl").read_text(encoding="utf-8")
    rows: list[Mapping[str, str]] = [json.loads(line) for line in text.splitlines()]
    return [(row["query"], row["paraphrase"], row["near"]) for row in rows]


def area_of(states: np.ndarray) -> float:
    """How often a paraphrase is nearer to its query than a near miss is to its own."""
    alike, near = _products(states)
    return float(np.mean(alike[:, None] > near[None, :]))


def _products(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inner products of each query's key with its paraphrase's and its near miss's."""
    keys = _unit(states - states.mean(0)).reshape(-1, 3, states.shape[-1])
    query, paraphrase, near = keys[:, 0], keys[:, 1], keys[:, 2]
    return (query * paraphrase).sum(-1), (query * near).sum(-1)


def _states(
    model: PreTrainedModel, tokenizer: Tokenizer, prompts: Sequence[str], progress: Progress
) -> np.ndarray:
    """The state after each prompt, of every layer. (layers, prompts, width)"""
    rows = [tokenizer.prompt(prompt) for prompt in prompts]
    caught: list[torch.Tensor] = []

    def keep(_module: object, _given: object, out: object) -> None:
        caught.append(hidden_of(out)[torch.arange(len(ends)), ends].float().cpu())

    hooks = [layer.register_forward_hook(keep) for layer in layers_of(model)]
    parts = []
    try:
        starts = range(0, len(rows), _BATCH)
        for at in progress.counted(starts, len(starts), "batch of queries"):
            batch = rows[at : at + _BATCH]
            ends = torch.tensor([len(row) - 1 for row in batch])
            wide = int(ends.max()) + 1
            ids = torch.tensor([row + [row[-1]] * (wide - len(row)) for row in batch])
            caught.clear()
            with torch.inference_mode():
                model(input_ids=ids.to(model.device), use_cache=False, logits_to_keep=1)
            parts.append(torch.stack(caught))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(parts, dim=1).numpy()


def _unit(vectors: np.ndarray) -> Key:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Key = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit
