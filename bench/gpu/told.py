"""Lets a model with random weights write the texts that a trained one would.

Random weights write no text that ends, so nobody could say what a Personalize costs with them. Here
all is computed as always; then the logit of the next token of the told text is made the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import torch
from transformers import PreTrainedTokenizerBase

from bench import workload
from server.graph.triple import verbalize
from server.lm.blocks import Segment
from server.lm.forward import Forward, Results
from server.lm.packing import Indices
from server.lm.transformers_model import TransformersModel
from server.tuning.templates import FACT_SEPARATOR, SEPARATOR

RELATIONS = ("Desires", "UsedFor", "AtLocation", "CapableOf", "HasProperty")
"""What is told after the extraction template: as many relations as the method asks for."""

Tell: TypeAlias = Callable[[Sequence[int]], Sequence[int]]
"""The tokens that follow a prompt, the end token last; none where nothing is told."""


def tell(model: TransformersModel, tokenizer: PreTrainedTokenizerBase, triples_each: int) -> None:
    """Have `model`, which must be idle, write what it is told about the workload's concepts."""
    told = Told(model._worker._forward, Texts(tokenizer, triples_each).after)
    model._worker._forward = told


class Texts:
    """What a trained model would write after the templates' prompts.

    After the extraction template some relations; after the reasoning template the workload's
    feedback if one of the facts says it, else the tail of the first fact.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, triples_each: int) -> None:
        self._tokenizer = tokenizer
        phrases = [f" {workload.VOCABULARY.phrase(name)}" for name in RELATIONS]
        self._relations = f" {SEPARATOR}".join(phrases)
        self._tails = {
            verbalize(z, workload.VOCABULARY): z.tail.text
            for subject in workload.subjects()
            for z in workload.triples(subject, triples_each)
        }

    def after(self, prompt: Sequence[int]) -> list[int]:
        """The tokens of the text after `prompt`, with an end token."""
        said = self.said_after(self._tokenizer.decode(prompt, skip_special_tokens=True))
        if said is None:
            return []
        tokens: list[int] = self._tokenizer(said, add_special_tokens=False).input_ids
        return [*tokens, self._tokenizer.eos_token_id]

    def said_after(self, prompt: str) -> str | None:
        """The text after `prompt`; None where none is told."""
        if prompt.endswith(" <relation>:"):
            return self._relations
        if not prompt.endswith(" <answer>:"):
            return None
        facts = prompt.rpartition(" <facts>: ")[2].removesuffix(" <answer>:").split(FACT_SEPARATOR)
        if any(fact.endswith(workload.FEEDBACK) for fact in facts):
            return f" {workload.FEEDBACK}"
        tail = self._tails.get(facts[0])
        return None if tail is None else f" {tail}"


class Told:
    """A Forward whose generations write the texts that `tell` gives for their prompts.

    It costs a tenth of a millisecond for each generation, and one small copy to the device for each
    pass.
    """

    def __init__(self, forward: Forward, tell: Tell) -> None:
        self._forward = forward
        self._tell = tell
        self.takes_drafts = forward.takes_drafts
        self._read: dict[int, list[int]] = {}
        """The tokens that each stream has read."""
        self._told: dict[int, tuple[int, Sequence[int]]] = {}
        """How many tokens each stream's prompt has, and what follows them."""

    def run(self, segments: Sequence[Segment]) -> Results:
        """What the other Forward finds, with the told tokens ahead."""
        results = self._forward.run(segments)
        rows, tokens = [], []
        first = 0
        for segment in segments:
            if segment.stream is not None:
                for row, token in self._told_in(segment.stream, segment):
                    rows.append(first + row)
                    tokens.append(token)
            first += len(segment.read)
        if rows:
            with torch.inference_mode():
                results.logits[rows, tokens] = torch.finfo(results.logits.dtype).max
        return results

    def keep(self, segment: Segment, places: Indices) -> None:
        """Keep what was accepted of a segment's drafts."""
        self._forward.keep(segment, places)

    def forget(self, stream: int) -> None:
        """Free what is kept of a stream."""
        self._forward.forget(stream)
        self._read.pop(stream, None)
        self._told.pop(stream, None)

    def _told_in(self, stream: int, segment: Segment) -> Iterator[tuple[int, int]]:
        """(row of the segment's logits, token) for each row whose next token is told."""
        start = int(segment.positions[0])
        # A pass that did not fit is repeated, so what it had read before is replaced
        read = self._read.setdefault(stream, [])
        read[start:] = segment.tokens.tolist()
        for row, position in enumerate(segment.positions[segment.read].tolist()):
            if stream not in self._told:
                prompt = read[: position + 1]
                self._told[stream] = len(prompt), self._tell(prompt)
            length, told = self._told[stream]
            if (number := position + 1 - length) < len(told):
                yield row, told[number]
