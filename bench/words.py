"""A tokenizer for models with random weights, made on the spot.

It needs no file and no network. Each of the benchmarks' words is one token, as an everyday word is
for the tokenizers of large models.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from bench import workload
from server.graph.triple import verbalize
from server.tuning.templates import (
    SEPARATOR,
    extraction_prompt,
    reasoning_prompt,
    retrieval_prompt,
)

BEGIN, END = "<|begin|>", "<|end|>"

_SPARE = "<|spare|>"
"""Token 2, which a Llama's configuration takes for an end unless it is told otherwise."""
_MOST_TOKENS = 4096


def word_tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer, trained on what the benchmarks ask. Texts start with BEGIN."""
    special = [END, BEGIN, _SPARE]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_MOST_TOKENS,
        min_frequency=1,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, special.index(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=_SPARE
    )


def _texts() -> Iterator[str]:
    """Each template, and every word of the workload."""
    yield SEPARATOR.join(f" {r.phrase} " for r in workload.VOCABULARY.retrievable())
    for subject in workload.subjects():
        query = workload.query(subject)
        facts = workload.triples(subject, 50)
        yield retrieval_prompt(query, subject)
        yield reasoning_prompt(query, [verbalize(z, workload.VOCABULARY) for z in facts])
        yield extraction_prompt(query, workload.FEEDBACK, subject, workload.FEEDBACK, 5)
