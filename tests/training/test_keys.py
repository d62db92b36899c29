"""The loss of the scope keys, on a tiny random model, and the rule that is written for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from server.lm.keys import ADAPTER_KEYS, KeyRule, key_rule
from server.lm.progress import Progress
from server.tuning.templates import root_prompt
from tests.lm.tiny_models import make_llama
from training.alike import Meaning
from training.keys import FLOOR, SURE, KeyReader, contrastive_loss

BATCH = [
    Meaning(("What's my rent?", "How much do I pay for the flat?", "my rent is 900 euros")),
    Meaning(("When is my rent due?", "On which day do I pay the landlord?")),
    Meaning(("What's my sister's rent?", "my sister pays for her flat")),
    Meaning(("How high are rents in Berlin?",)),
]
TEXTS = [text for meaning in BATCH for text in meaning.texts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def causal(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.fixture
def reader(folder: Path, causal: Any) -> KeyReader:
    reader = KeyReader(causal, AutoTokenizer.from_pretrained(folder), layer=1)
    reader.find_centre(TEXTS)
    return reader


def test_the_loss_falls_within_a_few_steps(causal: Any, reader: KeyReader) -> None:
    optimizer = torch.optim.AdamW(causal.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = contrastive_loss(reader, BATCH)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    keys = reader.keys(TEXTS)
    nearness = keys @ keys.T
    assert nearness[0, 1:3].min() > nearness[0, 3:].max(), "one meaning's are nearer than others"


def test_a_key_has_length_one_and_the_centre_taken_off(reader: KeyReader) -> None:
    with torch.no_grad():
        keys = reader.keys(TEXTS)
    assert keys.dtype == torch.float32
    assert keys.shape == (len(TEXTS), 48)
    assert keys.norm(dim=-1).allclose(torch.ones(len(TEXTS)))
    assert keys.mean(0).norm() < 0.5, "they lie around the centre"


def test_a_text_has_the_same_key_in_any_company(reader: KeyReader) -> None:
    with torch.no_grad():
        together = reader.keys(TEXTS)
        alone = torch.cat([reader.keys([text]) for text in TEXTS])
    assert (together * alone).sum(-1).min() > 0.999


def test_layers_above_are_not_run_and_the_model_is_whole_again(
    causal: Any, reader: KeyReader
) -> None:
    layers = causal.model.layers
    run = [0, 0]
    for n, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, n=n: run.__setitem__(n, run[n] + 1))
    contrastive_loss(reader, BATCH).backward()  # type: ignore[no-untyped-call]
    assert run == [1, 0]
    assert layers[0].mlp.up_proj.weight.grad is not None
    assert layers[1].mlp.up_proj.weight.grad is None
    assert causal.model.layers is layers
    causal(input_ids=torch.tensor([[1, 2, 3]]))
    assert run == [2, 1]


def test_a_text_without_another_of_its_meaning_only_pushes_away(reader: KeyReader) -> None:
    with torch.no_grad():
        alone = contrastive_loss(reader, BATCH[:1])
        with_a_near_miss = contrastive_loss(reader, [BATCH[0], BATCH[3]])
    assert with_a_near_miss > alone > 0


# The rule


def rule_of(causal: Any, folder: Path, adapter: Path, cache: Path) -> KeyRule:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return key_rule(causal, tokenizer, "fingerprint", adapter, cache, Progress())


def test_the_service_reads_the_same_keys_by_the_rule_that_is_written(
    causal: Any, reader: KeyReader, folder: Path, tmp_path: Path
) -> None:
    reader.save(tmp_path / ADAPTER_KEYS)
    rule = rule_of(causal, folder, tmp_path, tmp_path / "cache")
    assert (rule.layer, rule.floor, rule.sure) == (1, FLOOR, SURE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    states: list[torch.Tensor] = []
    layer = causal.model.layers[0]
    layer.register_forward_hook(lambda _m, _given, out: states.append(out[0, -1]))
    with torch.no_grad():
        trained = reader.keys(TEXTS)
        for text, key in zip(TEXTS, trained, strict=True):
            states.clear()
            causal(**tokenizer(root_prompt(text), return_tensors="pt"))
            (state,) = states
            read = torch.from_numpy(rule.key(state))
            assert read @ key > 0.999, "but for the number format that training computes in"


def test_thresholds_that_were_not_measured_have_a_default(
    causal: Any, reader: KeyReader, folder: Path, tmp_path: Path
) -> None:
    reader.save(tmp_path / ADAPTER_KEYS)
    rule = rule_of(causal, folder, tmp_path, tmp_path / "cache")
    assert (rule.floor, rule.sure) == (FLOOR, SURE)
    assert -1 <= FLOOR <= SURE <= 1
    written = json.loads((tmp_path / ADAPTER_KEYS).read_text())
    assert set(written) == {"layer", "centre", "floor", "sure"}
