"""What the model says to queries without facts: the target where no fact answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from server.lm.source import digest_files
from training.examples import Example

_TOKENS = 14
"""The answer's first tokens. What comes after them follows from them."""
_BATCH = 64


def with_own_answers(
    examples: Sequence[Example],
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    start: Path | None,
    folder: Path,
) -> list[Example]:
    """`examples`, with the targets that the model itself has to give.

    They are what the model with the adapter in `start` says, or the base without one, and are kept
    in `folder`.
    """
    model = "base" if start is None else digest_files(start.glob("adapter_*"))
    path = folder / f"plain_answers-{model}.json"
    said: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = {e.answered_plainly for e in examples if e.answered_plainly} - said.keys()
    if wanted:
        said |= _generated(sorted(wanted), _with_adapter(base, start), tokenizer)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said, indent=0, ensure_ascii=False))
    return [_with_answer(e, said) for e in examples if not e.answered_plainly or _is_said(e, said)]


def _with_adapter(base: PreTrainedModel, start: Path | None) -> PreTrainedModel:
    from server.lm.adapters import merged

    if start is None:
        return base
    copy = type(base).from_pretrained(base.name_or_path, dtype=torch.float32)
    return merged(copy, start).to(torch.bfloat16)


def _is_said(example: Example, said: dict[str, str]) -> bool:
    return bool(said[example.answered_plainly].strip())


def _with_answer(example: Example, said: dict[str, str]) -> Example:
    if not example.answered_plainly:
        return example
    answer = said[example.answered_plainly]
    return replace(
        example, target=f" {answer.strip()}", closes=answer.endswith("\n"), answered_plainly=""
    )


def _generated(
    queries: Sequence[str], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, str]:
    """The first line of each greedy answer. It ends with a line end if the model ended it."""
    said: dict[str, str] = {}
    order = sorted(queries, key=len)
    pad = tokenizer.eos_token_id
    for at in range(0, len(order), _BATCH):
        batch = order[at : at + _BATCH]
        rows = [tokenizer(query).input_ids for query in batch]
        width = max(map(len, rows))
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=mask, do_sample=False, max_new_tokens=_TOKENS, pad_token_id=pad
            )
        for query, row in zip(batch, out[:, width:].tolist(), strict=True):
            ended = pad in row
            text = tokenizer.decode(row[: row.index(pad)] if ended else row)
            line, cut, _ = text.strip().partition("\n")
            said[query] = line + ("\n" if ended or cut else "")
        print(f"  plain answers: {at + len(batch)}/{len(order)}", flush=True)
    return said
