"""LanguageModel on transformers: any Hugging Face causal model, on a processor or a GPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.errors import TextTooLong
from server.lm.decoding import decode
from server.lm.loading import LoadedModel
from server.lm.packing import Row, TokenSequence, pack
from server.lm.worker import Job, ModelWorker, run_job
from server.tuning.ports import Branch, ContinuationLogprob, GenerateRequest, ModelCost, Piece, Scores

_LOGIT_ROWS = 256
"""At how many positions logits are held in float32 at once: 50 MB with a vocabulary of 50,000."""


class TransformersModel:
    """Scores continuations and generates text with one model, on one thread."""

    def __init__(self, loaded: LoadedModel, queue_capacity: int = 64, row_tokens: int = 512) -> None:
        self._model = loaded.model
        self._tokenizer = _Tokenizer(loaded.tokenizer, loaded.context_tokens)
        self._loaded = loaded
        self._row_tokens = row_tokens
        self._worker = ModelWorker(queue_capacity)

    @property
    def fingerprint(self) -> str:
        return self._loaded.fingerprint

    @property
    def adapter_fingerprint(self) -> str:
        return self._loaded.adapter_fingerprint

    @property
    def max_scored_triples(self) -> int:
        return 64 if self._model.device.type == "cpu" else 512

    async def score(self, branches: Sequence[Branch], deadline: float | None = None) -> Scores:
        """The log-probabilities of all continuations. Raises TextTooLong, ModelBusy, DeadlinePassed."""
        result: Scores = await run_job(self._worker, lambda: self._score_now(branches), deadline)
        return result

    async def generate(self, request: GenerateRequest, deadline: float | None = None) -> AsyncIterator[Piece]:
        """The continuation of a prompt. Raises TextTooLong, ModelBusy, DeadlinePassed."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

        def give(item: Piece | BaseException | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, item)

        def work(job: Job) -> None:
            for piece in self._generate_now(request):
                if job.cancelled.is_set():
                    return
                give(piece)
            give(None)

        job = Job(work=work, fail=give, deadline=deadline)
        self._worker.submit(job)
        try:
            while (item := await pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            job.cancelled.set()

    def close(self) -> None:
        """Stop the model's thread once the work under way is done."""
        self._worker.close()

    # On the model's thread

    def _score_now(self, branches: Sequence[Branch]) -> Scores:
        sequences = self._tokenizer.sequences(branches)
        totals = [0.0] * len(sequences)
        rows = pack(sequences, self._row_tokens)
        for row in rows:
            for number, total in row_logprobs(self._model, row, sequences):
                totals[number] = total
        logprobs, at = [], 0
        for branch in branches:
            upto = at + len(branch.continuations)
            logprobs.append(
                tuple(
                    ContinuationLogprob(total, len(s.tokens) - s.scored_from)
                    for total, s in zip(totals[at:upto], sequences[at:upto], strict=True)
                )
            )
            at = upto
        return Scores(tuple(logprobs), ModelCost(len(rows), sum(len(row.tokens) for row in rows)))

    def _generate_now(self, request: GenerateRequest) -> Iterator[Piece]:
        prompt = self._tokenizer.prompt(request.prompt)
        room = self._tokenizer.context_tokens - len(prompt)
        if room < 1:
            raise TextTooLong("query", len(prompt), self._tokenizer.context_tokens)
        return decode(
            self._model,
            self._tokenizer.tokenizer,
            prompt,
            request,
            self._tokenizer.ends(self._model),
            min(request.max_tokens, room),
        )


def row_logprobs(model: PreTrainedModel, row: Row, sequences: Sequence[TokenSequence]) -> Iterator[tuple[int, float]]:
    """(index of the sequence, the sum of its continuation's log-probabilities) for each sequence in the row.

    One forward pass over the row; logits are read only where a continuation's token is predicted.
    """
    wanted = sorted(
        {path[at - 1] for number, path in row.paths for at in range(sequences[number].scored_from, len(path))}
    )
    column = {node: n for n, node in enumerate(wanted)}
    pairs = sorted(
        {
            (path[at - 1], path[at])
            for number, path in row.paths
            for at in range(sequences[number].scored_from, len(path))
        }
    )
    device = model.device
    with torch.inference_mode():
        out = model(
            input_ids=torch.from_numpy(row.tokens)[None].to(device),
            attention_mask=_additive(row, model.dtype, device),
            position_ids=torch.from_numpy(row.positions)[None].to(device),
            use_cache=False,
            logits_to_keep=torch.tensor(wanted, device=device),
        )
        logits = out.logits[0]  # (wanted, vocabulary)
        predicted = torch.tensor([column[parent] for parent, _ in pairs], device=device)
        tokens = torch.from_numpy(row.tokens[[node for _, node in pairs]]).to(device)
        parts = [
            logits[predicted[at : at + _LOGIT_ROWS]]
            .float()
            .log_softmax(-1)
            .gather(-1, tokens[at : at + _LOGIT_ROWS, None])
            for at in range(0, len(pairs), _LOGIT_ROWS)
        ]
        values = torch.cat(parts)[:, 0].tolist()
    of_node = {node: value for (_, node), value in zip(pairs, values, strict=True)}
    for number, path in row.paths:
        yield number, float(np.sum([of_node[node] for node in path[sequences[number].scored_from :]]))


def _additive(row: Row, number_format: torch.dtype, device: torch.device) -> torch.Tensor:
    """The row's mask as attention takes it: 0 where seen, the lowest number elsewhere. (1, 1, length, length)"""
    seen = torch.from_numpy(row.mask()).to(device)
    blocked = torch.zeros(seen.shape, dtype=number_format, device=device)
    return blocked.masked_fill_(~seen, torch.finfo(number_format).min)[None, None]


class _Tokenizer:
    """Texts to tokens as prompts and continuations."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.context_tokens = context_tokens
        self._special = frozenset(tokenizer.all_special_ids)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a prompt, with the tokenizer's own beginning-of-sequence token where it sets one."""
        return self._tokens([text])[0] or [self._stand_in()]

    def sequences(self, branches: Sequence[Branch]) -> list[TokenSequence]:
        """One sequence for each continuation of each branch, in order. Raises TextTooLong.

        Prompt and continuation are tokenized as one text, as the model would have met them, and cut where the tokens
        part from the prompt's own.
        """
        prompts = self._tokens([b.prompt for b in branches])
        wholes = iter(self._tokens([b.prompt + c for b in branches for c in b.continuations]))
        sequences = []
        for branch, prompt in zip(branches, prompts, strict=True):
            for _ in branch.continuations:
                whole = next(wholes)
                start = _common_prefix(prompt, whole)
                if start == 0:  # nothing to predict the first token from
                    whole, start = [self._stand_in(), *whole], 1
                if len(whole) > self.context_tokens:
                    raise TextTooLong("query", len(whole), self.context_tokens)
                sequences.append(TokenSequence(tuple(whole), min(start, len(whole) - 1)))
        return sequences

    def ends(self, model: PreTrainedModel) -> frozenset[int]:
        """The tokens that end a generation."""
        configured = model.generation_config.eos_token_id if model.generation_config is not None else None
        ids = configured if isinstance(configured, list) else [configured, self.tokenizer.eos_token_id]
        return frozenset(i for i in ids if i is not None)

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded: list[list[int]] = self.tokenizer(texts, add_special_tokens=True).input_ids
        return [self._without_end(ids) for ids in encoded]

    def _without_end(self, ids: list[int]) -> list[int]:
        """`ids` without an end token that the tokenizer appends."""
        while len(ids) > 1 and ids[-1] in self._special and ids[-1] == self.tokenizer.eos_token_id:
            ids = ids[:-1]
        return ids

    def _stand_in(self) -> int:
        """A token for an empty beginning."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, 0):
            if token is not None:
                return int(token)
        raise AssertionError("0 is a token")


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
