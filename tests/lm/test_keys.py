"""How keys are read: the rule that an adapter brings, or the one that is found for a model."""

from __future__ import annotations

import json
import logging
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from server.__main__ import main
from server.lm.folders import keys_folder
from server.lm.keys import ADAPTER_KEYS, KeyRule, calibration_cases
from server.lm.loading import LoadedModel
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, Key
from tests.lm.folders import POINTER, loaded_from, refused
from tests.lm.tiny_models import END, make_llama, tiny_tokenizer

WIDTH, LAYERS = 48, 2
OWN = {"layer": 2, "centre": [0.25] * WIDTH, "floor": 0.4, "sure": 0.8}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def same(rule: KeyRule, other: KeyRule) -> bool:
    numbers = (rule.layer, rule.floor, rule.sure, rule.fingerprint, rule.after)
    others = (other.layer, other.floor, other.sure, other.fingerprint, other.after)
    return np.array_equal(rule.centre, other.centre) and numbers == others


def found_anew(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether what was logged since the last question says that a rule was being found."""
    told = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return "finding out how to read keys, once" in told


# Found at the first start


def test_a_models_rule_is_found_at_its_first_start_and_kept(
    llama_folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kgt")
    first = loaded_from(llama_folder, cache=cache).keys
    assert found_anew(caplog)
    assert len(list(keys_folder(cache).iterdir())) == 1
    assert same(loaded_from(llama_folder, cache=cache).keys, first)
    assert not found_anew(caplog)
    assert same(loaded_from(llama_folder, cache=cache / "another").keys, first)


async def test_the_rule_that_is_found_separates_paraphrases_from_near_misses_best(
    loaded: LoadedModel,
) -> None:
    """By the keys that the service reads: the floor leaves 80 of 100 near misses below it."""
    rule, areas = loaded.keys, {}
    for after, layer in product(("root", "one word"), range(1, LAYERS + 1)):
        states = await states_of(loaded, layer, after)
        keys = unit(states - states.mean(0)).reshape(-1, 3, WIDTH)
        alike, near = ((keys[:, 0] * keys[:, other]).sum(-1) for other in (1, 2))
        areas[after, layer] = float((alike[:, None] > near[None, :]).mean())
        if (after, layer) == (rule.after, rule.layer):
            assert rule.centre == pytest.approx(states.mean(0), abs=2e-5)
            assert 0.78 <= float((near < rule.floor).mean()) <= 0.82
    assert areas[rule.after, rule.layer] >= max(areas.values()) - 1e-3
    assert rule.sure == rule.floor


async def states_of(loaded: LoadedModel, layer: int, after: str) -> Key:
    """The states of the calibration's queries, three for each case, as the service reads them."""
    read: list[Key] = []

    class Raw(KeyRule):
        def key(self, state: torch.Tensor) -> Key:
            read.append(state.numpy())
            return super().key(state)

    raw = Raw(layer, np.zeros(WIDTH, dtype=np.float32), 0, 0, "", after)
    parts = (loaded.model, loaded.tokenizer, loaded.context_tokens, loaded.fingerprint, "", raw)
    model = TransformersModel(LoadedModel(*parts))
    texts = [text for case in calibration_cases() for text in case]
    for text in texts:
        await model.score([Branch(model.key_prompt(text), (), keyed=True)])
    model.close()
    return np.stack(read)


def unit(vectors: Key) -> Key:
    lengths: Key = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths


def test_the_calibration_has_a_query_its_paraphrase_and_a_near_miss_in_each_case() -> None:
    cases = calibration_cases()
    assert len(cases) >= 50
    for case in cases:
        assert len({text.strip().casefold() for text in case if text.strip()}) == 3


def test_an_end_that_a_tokenizer_appends_is_not_what_is_read(tmp_path: Path, cache: Path) -> None:
    plain = make_llama(tmp_path / "plain", begins=False)
    ending = shutil.copytree(plain, tmp_path / "ending")
    backend = tiny_tokenizer(begins=False).backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, 0)]
    )
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END).save_pretrained(ending)
    found = loaded_from(ending, cache=cache)
    assert found.tokenizer("a").input_ids[-1] == found.tokenizer.eos_token_id
    expected = loaded_from(plain, cache=cache).keys
    assert np.array_equal(found.keys.centre, expected.centre)
    assert found.keys.floor == expected.floor


def test_a_model_of_one_layer_has_keys_too(tmp_path: Path, cache: Path) -> None:
    folder = make_llama(tmp_path / "model", layers=1)
    assert loaded_from(folder, cache=cache).keys.layer == 1


# Kept in the cache


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        json.dumps(OWN | {"layer": 0}).encode(),
        json.dumps(OWN | {"layer": LAYERS + 1}).encode(),
        json.dumps(OWN | {"centre": [0.1] * (WIDTH - 1)}).encode(),
        json.dumps(OWN | {"centre": [float("nan")] * WIDTH}).encode(),
        json.dumps(OWN | {"floor": 1.01}).encode(),
    ],
)
def test_a_damaged_file_in_the_cache_is_found_again(
    llama_folder: Path, cache: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    expected = loaded_from(llama_folder, cache=cache).keys
    (kept,) = keys_folder(cache).iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(content)
    caplog.set_level(logging.INFO, "kgt")
    assert same(loaded_from(llama_folder, cache=cache).keys, expected)
    assert found_anew(caplog)
    assert list(keys_folder(cache).iterdir()) == [kept]
    assert kept.read_bytes() == whole


def test_where_nothing_can_be_kept_it_is_found_at_every_start(
    llama_folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    keys_folder(cache).write_text("a file where the folder would be")
    caplog.set_level(logging.INFO, "kgt")
    first = loaded_from(llama_folder, cache=cache).keys
    assert "how to read keys is found out at every start" in caplog.text
    assert "KGT_CACHE" in caplog.text
    assert found_anew(caplog)
    assert same(loaded_from(llama_folder, cache=cache).keys, first)
    assert found_anew(caplog)


def test_each_model_has_its_own_rule_and_keys_that_are_not_compared_with_anothers(
    llama_folder: Path, gpt2_folder: Path, adapter: Path, cache: Path
) -> None:
    """An adapter without a rule changes the model, so a rule is found for the two of them."""
    rules = [
        loaded_from(llama_folder, cache=cache).keys,
        loaded_from(gpt2_folder, cache=cache).keys,
        loaded_from(llama_folder, str(adapter), cache).keys,
    ]
    assert len({rule.fingerprint for rule in rules}) == 3
    assert len(list(keys_folder(cache).iterdir())) == 3


# Brought by an adapter


def bring(adapter: Path, **changes: Any) -> None:
    (adapter / ADAPTER_KEYS).write_text(json.dumps(OWN | changes))


def test_an_adapters_own_rule_is_the_one_that_counts(
    llama_folder: Path, adapter: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kgt")
    bring(adapter)
    rule = loaded_from(llama_folder, str(adapter), cache).keys
    assert (rule.layer, rule.floor, rule.sure) == (2, 0.4, 0.8)
    assert np.array_equal(rule.centre, np.full(WIDTH, 0.25, dtype=np.float32))
    assert not found_anew(caplog)
    assert not keys_folder(cache).exists()


@pytest.mark.parametrize("change", [{"layer": 1}, {"centre": [0.5] * WIDTH}])
def test_keys_that_are_read_otherwise_have_another_fingerprint(
    llama_folder: Path, adapter: Path, change: dict[str, Any]
) -> None:
    bring(adapter)
    before = loaded_from(llama_folder, str(adapter)).keys
    bring(adapter, **change)
    assert loaded_from(llama_folder, str(adapter)).keys.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (POINTER, "Git LFS pointer"),
        (b"{", "cannot be read as the rule for an adapter's keys"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read"),
        (b"\xff", "cannot be read"),
        (json.dumps(OWN | {"layer": 0}).encode(), "cannot be read"),
        (json.dumps(OWN | {"floor": -1.1}).encode(), "cannot be read"),
        (json.dumps(OWN | {"centre": [float("inf")] * WIDTH}).encode(), "cannot be read"),
        (json.dumps(OWN | {"centre": ["a"] * WIDTH}).encode(), "cannot be read"),
        (json.dumps(OWN | {"centre": [0.1] * (WIDTH + 1)}).encode(), "does not fit the model"),
        (json.dumps(OWN | {"layer": LAYERS + 1}).encode(), "does not fit the model"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(
    llama_folder: Path, adapter: Path, content: bytes, complaint: str
) -> None:
    (adapter / ADAPTER_KEYS).write_bytes(content)
    message = refused(llama_folder, str(adapter))
    assert complaint in message
    assert str(adapter / ADAPTER_KEYS) in message


def test_a_server_that_cannot_read_the_rule_ends_with_one_line_and_status_2(
    llama_folder: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bring(adapter, layer=LAYERS + 1)
    arguments = ["--model", str(llama_folder), "--adapter", str(adapter), "--device", "cpu"]
    arguments += ["--data", str(tmp_path / "data"), "--address", "127.0.0.1:0"]
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        f"kgt: {adapter / ADAPTER_KEYS}: does not fit the model;"
        " use the one that came with the adapter"
    )
