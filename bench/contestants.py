"""Other ways to compute a request's probabilities, to compare the engine with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bench.models import attention, timed
from server.tuning.ports import Branch

PADDED_SIZES = (8, 16, 32, 64)
FLOOR_ROWS = (128, 256, 512, 1024)
HARNESS_TRIAL = 8

Pair: TypeAlias = tuple[list[int], int]
"""The tokens of a (prompt, continuation) pair, and where the continuation starts."""


def loop(model: PreTrainedModel, pairs: Sequence[Pair]) -> list[float]:
    """One pair a forward pass, with all logits."""
    totals = []
    with torch.inference_mode():
        for tokens, start in pairs:
            ids = torch.tensor([tokens], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, start - 1 : -1]
            logprobs = logits.float().log_softmax(-1)
            totals.append(float(logprobs.gather(-1, ids[0, start:, None]).sum()))
    return totals


def padded(model: PreTrainedModel, pairs: Sequence[Pair], size: int) -> list[float]:
    """Batches of `size` pairs of similar length, padded on the left, with only the last logits."""
    ordered = sorted(pairs, key=lambda pair: -len(pair[0]))
    totals = []
    with torch.inference_mode():
        for at in range(0, len(ordered), size):
            totals += _padded_batch(model, ordered[at : at + size])
    return totals


def _padded_batch(model: PreTrainedModel, batch: Sequence[Pair]) -> list[float]:
    long = max(len(tokens) for tokens, _ in batch)
    scored = max(len(tokens) - start for tokens, start in batch)
    ids = torch.zeros((len(batch), long), dtype=torch.long)
    there = torch.zeros_like(ids)
    counted = torch.zeros((len(batch), scored), dtype=torch.bool)
    for row, (tokens, start) in enumerate(batch):
        ids[row, long - len(tokens) :] = torch.tensor(tokens)
        there[row, long - len(tokens) :] = 1
        counted[row, scored - (len(tokens) - start) :] = True
    ids, there, counted = (part.to(model.device) for part in (ids, there, counted))
    out = model(
        input_ids=ids,
        attention_mask=there,
        position_ids=(there.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=scored + 1,
    )
    logprobs = out.logits[:, :-1].float().log_softmax(-1)  # (batch, scored, vocabulary)
    each = logprobs.gather(-1, ids[:, -scored:, None])[..., 0]
    totals: list[float] = (each * counted).sum(-1).tolist()
    return totals


def padded_tokens(pairs: Sequence[Pair], size: int) -> int:
    """How many tokens `padded` reads, padding included."""
    lengths = sorted((len(tokens) for tokens, _ in pairs), reverse=True)
    return sum(lengths[at] * len(lengths[at : at + size]) for at in range(0, len(lengths), size))


def best_padded_size(model: PreTrainedModel, pairs: Sequence[Pair]) -> int:
    """The batch size with which `padded` is fastest."""
    took = {}
    with attention(model, "sdpa"):
        for size in PADDED_SIZES:

            def run(size: int = size) -> object:
                return padded(model, pairs, size)

            took[size] = timed(run, model.device)
    return min(took, key=lambda size: took[size])


class Floor:
    """One dense causal forward pass over as many tokens as the engine reads, with as many logits.

    It knows nothing of trees and has no answer. It uses the row length that is fastest.
    """

    def __init__(self, model: PreTrainedModel, tokens: int, logits: int) -> None:
        self._model = model
        self._tokens = tokens
        self._logits = logits
        self._row = self._fastest_row()

    def run(self) -> object:
        return self._rows(self._row)

    def _fastest_row(self) -> int:
        longest = self._model.config.max_position_embeddings
        took = {}
        with attention(self._model, "sdpa"):
            for row in (row for row in FLOOR_ROWS if row <= longest):

                def run(row: int = row) -> object:
                    return self._rows(row)

                took[row] = timed(run, self._model.device)
        return min(took, key=lambda row: took[row])

    def _rows(self, row: int) -> object:
        device = self._model.device
        rows = max(1, round(self._tokens / row))
        length = -(-self._tokens // rows)
        kept = torch.arange(min(length, -(-self._logits // rows)), device=device)
        with torch.inference_mode():
            ids = torch.full((rows, length), 5, device=device)
            out = self._model(input_ids=ids, use_cache=False, logits_to_keep=kept)
            return out.logits.float().logsumexp(-1)


def logit_rows(pairs: Sequence[Pair]) -> int:
    """At how many distinct beginnings a token is predicted: the engine reads so many logits."""
    return len({tuple(tokens[:at]) for tokens, start in pairs for at in range(start, len(tokens))})


def harness() -> Any:
    """EleutherAI's harness for Hugging Face models; None where it is not installed."""
    try:
        from lm_eval.models import huggingface
    except ImportError:
        return None
    return huggingface


def harness_run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[list[Branch]],
    size: int,
) -> Callable[[], object]:
    """What asks the harness for the same probabilities, in batches of `size`."""
    peer = harness().HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size)
    requests = [_harness_requests(branches) for branches in asked]
    peer.loglikelihood(requests[0][:HARNESS_TRIAL], disable_tqdm=True)
    return lambda: [peer.loglikelihood(query, disable_tqdm=True) for query in requests]


def _harness_requests(branches: Sequence[Branch]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [
        Instance(
            request_type="loglikelihood", doc={}, arguments=(branch.prompt, continuation), idx=0
        )
        for branch in branches
        for continuation in branch.continuations
    ]
