"""A causal language model in float32 whose weights can be changed while it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from evaluation.methods.method import TargetLogprob, UneditableCase
from evaluation.methods.plain import ANSWER_TOKENS
from evaluation.methods.weights.batch import NOT_ASKED, Batch, batch_of
from evaluation.methods.weights.shapes import Matrix, shape_of
from server.lm.adapters import adapter_folder, merged
from server.lm.device import choose_device
from server.lm.loading import ModelChoice
from server.lm.packing import TokenSequence, common_prefix
from server.lm.progress import Progress
from server.lm.source import digest_files, find_source
from server.lm.states import layers_of
from server.lm.tokens import finished, tokenizer_of
from server.tuning.ports import Branch, GenerateRequest

_BATCH_TOKENS = 1024
"""So many tokens are read at once, padding included: their logits take 200 MB at 50,000 tokens."""


class SubjectNotInPrompt(UneditableCase):
    """The prompt of a case does not contain its subject, so there is no token to edit at."""


class EditableModel:
    """Any Hugging Face causal model with transformers' own layers, an adapter merged into them.

    All in float32: what `choice` says of number formats is not used. No parameter needs gradients,
    except within `differentiated`. `fingerprint` tells the model from others, as it is before any
    edit. Raises ModelUnusable.
    """

    def __init__(self, choice: ModelChoice) -> None:
        transformers_logging.disable_progress_bar()
        source = find_source(choice.model, choice.cache, torch.float32, Progress())
        adapter = adapter_folder(choice.adapter, choice.model)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            source.place, dtype=torch.float32, **source.options
        )
        if adapter is not None:
            model = merged(model, adapter)
        self.fingerprint = source.fingerprint(model.config)
        if adapter is not None:
            self.fingerprint += f"-{digest_files(adapter.glob('adapter_*'))}"
        self.model = model.to(choose_device(choice.device)).eval().requires_grad_(False)
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source.place, **source.options
        )
        context = self.model.config.get_text_config().max_position_embeddings
        self._tokens = tokenizer_of(self.model, self.tokenizer, context)
        self._shape = shape_of(self.model)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.model.device
        return device

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(layers_of(self.model))

    def layer(self, number: int) -> nn.Module:
        """The layer with this number, counted from 0."""
        return layers_of(self.model)[number]

    def down(self, layer: int) -> Matrix:
        """The matrix that ends the layer's MLP."""
        return Matrix(self.layer(layer).get_submodule(self._shape.down))

    def into(self, layer: int) -> list[Matrix]:
        """The matrices that begin the layer's MLP."""
        return [Matrix(self.layer(layer).get_submodule(name)) for name in self._shape.into]

    def sequence(self, prompt: str, target: str) -> TokenSequence:
        """`target` as it continues `prompt`, after a space. Raises TextTooLong."""
        (sequence,) = self._tokens.sequences([Branch(prompt, (_after(prompt, target),))])
        return sequence

    def batch(self, *pairs: tuple[str, str]) -> Batch:
        """Prompts with their targets, to be read at once. Raises TextTooLong."""
        return batch_of([self.sequence(*pair) for pair in pairs], self.device)

    def subject_end(self, before: str, prompt: str, subject: str) -> int:
        """The place of the last token of the subject, in the tokens of `before` + `prompt`.

        With what stands before it, so the subject's first token has its leading space. Raises
        SubjectNotInPrompt.
        """
        at = prompt.find(subject)
        if at < 0 or not subject:
            raise SubjectNotInPrompt("the case's prompt does not contain its subject")
        whole = self._tokens.prompt(before + prompt)
        upto = self._tokens.prompt(before + prompt[: at + len(subject)])
        # A token may reach over the subject's end; then it is the first that differs
        return min(common_prefix(upto, whole), len(upto) - 1)

    def logits(
        self, batch: Batch, instead: Mapping[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """The logits of the batch's last `kept` positions: (sequences, kept, vocabulary).

        Some weights, by name, may be taken from `instead`; the model's own stay as they are.
        """
        given = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "use_cache": False,
            "logits_to_keep": batch.kept,
        }
        logits: torch.Tensor = functional_call(self.model, dict(instead or {}), (), given).logits
        return logits

    def names(self, matrices: Sequence[Matrix]) -> list[str]:
        """The names of the matrices' weights in the model."""
        known = {id(weight): name for name, weight in self.model.named_parameters()}
        return [known[id(matrix.weight)] for matrix in matrices]

    @torch.no_grad()
    def logprobs(self, pairs: Sequence[tuple[str, str]]) -> list[TargetLogprob]:
        """The log-probability of each target after its prompt, token by token."""
        found = []
        for portion in self._portions([self.sequence(*pair) for pair in pairs]):
            found += self._logprobs(batch_of(portion, self.device))
        return found

    def _portions(self, sequences: Sequence[TokenSequence]) -> Iterator[list[TokenSequence]]:
        """The sequences in order, as many at once as _BATCH_TOKENS allows."""
        portion: list[TokenSequence] = []
        longest = 0
        for sequence in sequences:
            longest = max(longest, len(sequence.tokens))
            if portion and longest * (len(portion) + 1) > _BATCH_TOKENS:
                yield portion
                portion, longest = [], len(sequence.tokens)
            portion.append(sequence)
        if portion:
            yield portion

    def _logprobs(self, batch: Batch) -> list[TargetLogprob]:
        logprobs = self.logits(batch).log_softmax(-1)  # (sequences, kept, vocabulary)
        labels = batch.targets
        asked = labels != NOT_ASKED
        of_targets = logprobs.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        greedy = logprobs.argmax(-1) == labels
        return [
            TargetLogprob(tuple(of_targets[row, at].tolist()), tuple(greedy[row, at].tolist()))
            for row, at in enumerate(asked)
        ]

    @torch.no_grad()
    def generate(self, prompt: str, tokens: int = ANSWER_TOKENS) -> str:
        """The greedy continuation of `prompt`, of at most so many tokens. Raises TextTooLong."""
        request = GenerateRequest(prompt, tokens)
        start = finished(self._tokens.prompt_in_steps(request, room=tokens))
        ids = torch.tensor([start], device=self.device)
        own = self.model.generation_config
        ends = own.eos_token_id if own is not None else None
        greedy = GenerationConfig(
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=self.tokenizer.pad_token_id or 0,
        )
        out = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), generation_config=greedy
        )
        text: str = self.tokenizer.decode(out[0, len(start) :], skip_special_tokens=True)
        return text.strip()

    @contextmanager
    def differentiated(self, matrices: Sequence[Matrix]) -> Iterator[None]:
        """Within, gradients reach these matrices; after it, they do not, and none is left."""
        for matrix in matrices:
            matrix.weight.requires_grad_(True)
        try:
            yield
        finally:
            for matrix in matrices:
                matrix.weight.requires_grad_(False)
                matrix.weight.grad = None

    @contextmanager
    def restored(self, matrices: Sequence[Matrix]) -> Iterator[None]:
        """After it, these matrices are what they were before."""
        before = [matrix.weight.detach().clone() for matrix in matrices]
        try:
            yield
        finally:
            for matrix, weight in zip(matrices, before, strict=True):
                matrix.weight.detach().copy_(weight)


def _after(prompt: str, target: str) -> str:
    """The target with the space that separates it from its prompt."""
    is_apart = target[:1].isspace() or prompt[-1:].isspace() or not prompt
    return target if is_apart else f" {target}"
