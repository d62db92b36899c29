"""A causal model without any graph: what each token of a target costs, and the greedy answer."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from evaluation.methods.method import EditCase, TargetLogprob, first_line
from server.lm.loading import LoadedModel
from server.lm.tokens import tokenizer_of
from server.tuning.ports import Branch

ANSWER_TOKENS = 16
"""The longest answer to a prompt of CounterFact: longer than any target there."""
_PROMPTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model predicts where a target's tokens stand.

    `logprobs`: (prompts, tokens of the target, vocabulary), float32. `tokens`: (tokens,).
    """

    logprobs: torch.Tensor
    tokens: torch.Tensor

    @property
    def of_target(self) -> torch.Tensor:
        """ln P of each token of the target: (prompts, tokens)."""
        index = self.tokens.expand(len(self.logprobs), -1)[..., None]
        return self.logprobs.gather(-1, index)[..., 0]


@dataclass(frozen=True, slots=True)
class Prefix:
    """A text that was read once, and that stands before several prompts."""

    tokens: int
    cache: DynamicCache


class PlainModel:
    """Asks a loaded model directly.

    A prompt ends without a space, the target starts with one, and both are tokenized as one text:
    the service's own rule (`server.lm.tokens`). It writes at most `answer_tokens`.
    """

    def __init__(self, loaded: LoadedModel, answer_tokens: int = ANSWER_TOKENS) -> None:
        self._answer_tokens = answer_tokens
        self._model = loaded.model
        self._tokenizer = loaded.tokenizer
        self.texts = tokenizer_of(loaded.model, loaded.tokenizer, loaded.context_tokens)
        # Since transformers 5.24 some models call it `cache`
        names = inspect.signature(loaded.model.forward).parameters
        self._cache = "cache" if "cache" in names else "past_key_values"

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._tokenizer(text).input_ids)

    # Probabilities

    def predicted(self, prompts: Sequence[str], target: str) -> Predicted:
        """What the model predicts at each token of `target`, after each of the prompts.

        The target has to have the same tokens after all of them. Raises TextTooLong.
        """
        branches = [Branch(prompt, (f" {target}",)) for prompt in prompts]
        sequences = self.texts.sequences(branches)
        tokens = sequences[0].tokens[sequences[0].scored_from :]
        rows = []
        for at in range(0, len(sequences), _PROMPTS_AT_ONCE):
            read = [list(s.tokens) for s in sequences[at : at + _PROMPTS_AT_ONCE]]
            rows.append(self._last(read, len(tokens)))
        return Predicted(torch.cat(rows), torch.tensor(tokens, device=self._model.device))

    def _last(self, rows: Sequence[Sequence[int]], count: int) -> torch.Tensor:
        """The log-probabilities with which the last `count` tokens of each row are predicted."""
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        device = self._model.device
        with torch.inference_mode():
            out = self._model(
                input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
            )
            places = [slice(len(row) - count - 1, len(row) - 1) for row in rows]
            logits = torch.stack([out.logits[n, place] for n, place in enumerate(places)])
            return logits.float().log_softmax(-1)  # (rows, count, vocabulary)

    def logprob(self, prompt: str, target: str, after: Prefix | None = None) -> TargetLogprob:
        """What each token of `target` costs after the prompt. Raises TextTooLong."""
        if after is None:
            predicted = self.predicted([prompt], target)
        else:
            (sequence,) = self.texts.sequences([Branch(prompt, (f" {target}",))])
            count = len(sequence.tokens) - sequence.scored_from
            cache = copy.deepcopy(after.cache)
            logits = self._read(sequence.tokens, cache)[-count - 1 : -1]
            tokens = torch.tensor(sequence.tokens[-count:], device=logits.device)
            predicted = Predicted(logits.log_softmax(-1)[None], tokens)
        greedy = predicted.logprobs[0].argmax(-1) == predicted.tokens
        return TargetLogprob(tuple(predicted.of_target[0].tolist()), tuple(greedy.tolist()))

    # Texts

    def prefix(self, text: str) -> Prefix:
        """Read a text that prompts will follow. Raises TextTooLong."""
        tokens = self.texts.prompt(text)
        cache = DynamicCache(config=self._model.config)
        self._read(tokens, cache)
        return Prefix(len(tokens), cache)

    def generate(self, prompt: str, after: Prefix | None = None) -> str:
        """The first line of the greedy continuation. Raises TextTooLong."""
        cache = copy.deepcopy(after.cache) if after else DynamicCache(config=self._model.config)
        read = self.texts.prompt(prompt)
        written: list[int] = []
        while len(written) < self._answer_tokens:
            token = int(self._read(read, cache)[-1].argmax())
            if token == self._tokenizer.eos_token_id:
                break
            written.append(token)
            text = self._text(written)
            if "\n" in text.lstrip():
                break
            read = [token]
        return first_line(self._text(written))

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))

    def _read(self, tokens: Sequence[int], cache: DynamicCache) -> torch.Tensor:
        """The logits after each of `tokens`, which follow what is in the cache, in float32."""
        ids = torch.tensor([list(tokens)], device=self._model.device)
        given = {self._cache: cache, "use_cache": True}
        with torch.inference_mode():
            logits: torch.Tensor = self._model(input_ids=ids, **given).logits[0].float()
        return logits

    def state(self, text: str) -> torch.Tensor:
        """The mean of the states that the last layer leaves at the text's tokens, of length 1."""
        ids = torch.tensor([self.texts.prompt(text)], device=self._model.device)
        with torch.inference_mode():
            out = self._model(input_ids=ids, output_hidden_states=True, use_cache=False)
        mean: torch.Tensor = out.hidden_states[-1][0].float().mean(0).cpu()
        unit: torch.Tensor = mean / mean.norm()
        return unit


class ModelAlone:
    """The model without any graph, and without any edit."""

    def __init__(self, name: str, model: PlainModel) -> None:
        self._name = name
        self._model = model

    @property
    def name(self) -> str:
        return self._name

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Learn nothing."""

    def edit(self, case: EditCase) -> None:
        """Change nothing."""

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        return self._model.logprob(prompt, target)

    def generate(self, prompt: str) -> str:
        return self._model.generate(prompt)

    def close(self) -> None:
        """Hold nothing: the weights are shared."""
