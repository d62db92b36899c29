"""Texts that a model writes, and the covariance of what its neurons do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.methods.weights.keeping import Keeping
from evaluation.methods.weights.model import EditableModel
from evaluation.methods.weights.sampling import (
    FIRST_WORDS,
    prefixes,
    sampled,
    second_moments,
    texts_for,
)
from server.lm.loading import ModelChoice


@pytest.fixture(scope="module")
def model(tiny: ModelChoice) -> EditableModel:
    return EditableModel(tiny)


def test_texts_are_as_long_as_wanted_and_the_same_for_a_seed(model: EditableModel) -> None:
    texts = sampled(model, 7, 12, seed=3)
    assert texts.shape[0] == 7 and texts.shape[1] > 12
    assert torch.equal(texts, sampled(model, 7, 12, seed=3))
    assert not torch.equal(texts, sampled(model, 7, 12, seed=4))


def test_prefixes_are_of_every_length_and_end_a_sentence(model: EditableModel) -> None:
    found = prefixes(model, [(3, 2), (9, 4)], seed=3)
    assert len(found) == 6
    assert all(text.endswith(". ") for text in found)
    assert len(model.tokenizer(found[0]).input_ids) < len(model.tokenizer(found[-1]).input_ids)
    assert FIRST_WORDS[0][0] in found[0]


def test_texts_that_are_kept_are_taken_again(model: EditableModel, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    texts = texts_for(model, 100, 3, Keeping(folder))
    assert texts[:, 1:].numel() >= 100
    (path,) = folder.iterdir()
    written = path.stat().st_mtime_ns
    assert torch.equal(texts, texts_for(model, 100, 3, Keeping(folder)))
    assert path.stat().st_mtime_ns == written
    assert torch.equal(texts, texts_for(model, 100, 3, Keeping(None)))


def test_second_moments_are_those_of_the_keys_that_are_read(model: EditableModel) -> None:
    texts = sampled(model, 3, 8, seed=3)
    matrices = [model.down(0), model.down(1)]
    seen: list[torch.Tensor] = []
    hooks = [
        matrix.module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        for matrix in matrices
    ]
    with torch.no_grad():
        model.model(input_ids=texts)
    for hook in hooks:
        hook.remove()
    found = second_moments(model, matrices, texts)
    for given, moment in zip(seen, found, strict=True):
        keys = given.flatten(0, 1).double()
        torch.testing.assert_close(moment, keys.T @ keys / len(keys))
