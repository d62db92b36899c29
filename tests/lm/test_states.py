"""What a layer leaves at chosen tokens is read while a pass goes on, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from server.errors import ModelUnusable
from server.lm.states import StateTap, layers_of
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch
from tests.lm.folders import IDS, loaded_from
from tests.lm.tiny_models import llama_config, make_gpt2, make_llama, tiny_tokenizer


@pytest.fixture(params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    folder = request.getfixturevalue(f"{request.param}_folder")
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    return loaded.eval()


def run(model: Any) -> torch.Tensor:
    """The output of the first layer, in a pass over a few tokens. (tokens, width)"""
    with torch.inference_mode():
        hidden: torch.Tensor = model(IDS, output_hidden_states=True).hidden_states[1][0]
    return hidden


def test_the_states_of_the_tokens_asked_for_are_there_in_order(model: PreTrainedModel) -> None:
    with StateTap(model, 1).reading(np.array([3, 0, 3])) as states:
        expected = run(model)[[3, 0, 3]]
    assert torch.equal(states.found, expected)
    assert states.found.dtype is torch.float32


def test_nothing_is_read_where_nothing_is_asked_for(model: PreTrainedModel) -> None:
    tap = StateTap(model, 1)
    with tap.reading(np.zeros(0, dtype=np.int64)) as states:
        run(model)
    assert states.found.shape == (0, 0)
    run(model)
    assert len(states.found) == 0


def test_a_pass_that_fails_leaves_nothing_to_the_next(model: PreTrainedModel) -> None:
    tap = StateTap(model, 1)
    with pytest.raises(RuntimeError), tap.reading(np.array([0])) as failed:
        raise RuntimeError
    with tap.reading(np.array([1])) as states:
        expected = run(model)[[1]]
    assert len(failed.found) == 0
    assert torch.equal(states.found, expected)


def test_each_layer_has_its_own_states(model: PreTrainedModel) -> None:
    taps = StateTap(model, 1), StateTap(model, 2)
    with taps[0].reading(np.array([2])) as first, taps[1].reading(np.array([2])) as second:
        run(model)
    assert not torch.allclose(first.found, second.found)


# Where the layers are


def test_a_models_layers_are_found_in_order(tmp_path: Path) -> None:
    llama = LlamaForCausalLM.from_pretrained(make_llama(tmp_path / "llama"))
    assert list(layers_of(llama)) == list(llama.model.layers)
    gpt2: Any = AutoModelForCausalLM.from_pretrained(make_gpt2(tmp_path / "gpt2"))
    assert list(layers_of(gpt2)) == list(gpt2.transformer.h)


def test_a_list_inside_a_layer_is_not_taken_for_the_layers(tmp_path: Path) -> None:
    """A mixture's experts may be as many as the layers."""
    llama = LlamaForCausalLM.from_pretrained(make_llama(tmp_path))
    for layer in llama.model.layers:
        layer.experts = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    assert list(layers_of(llama)) == list(llama.model.layers)


class OddConfig(LlamaConfig):  # type: ignore[misc]
    model_type = "odd"


class OddModel(LlamaForCausalLM):  # type: ignore[misc]
    """A Llama whose layers are not in a ModuleList."""

    config_class = OddConfig

    def __init__(self, config: OddConfig) -> None:
        super().__init__(config)
        self.model.layers = nn.Sequential(*self.model.layers)


@pytest.fixture
def odd_folder(tmp_path: Path) -> Iterator[Path]:
    AutoConfig.register("odd", OddConfig)
    AutoModelForCausalLM.register(OddConfig, OddModel)
    OddModel(llama_config(OddConfig)).save_pretrained(tmp_path / "odd")
    tiny_tokenizer(begins=False).save_pretrained(tmp_path / "odd")
    yield tmp_path / "odd"
    CONFIG_MAPPING._extra_content.pop("odd")
    MODEL_FOR_CAUSAL_LM_MAPPING._extra_content.pop(OddConfig)


async def test_a_model_without_a_list_of_layers_has_the_states_below_its_head(
    odd_folder: Path,
) -> None:
    loaded = loaded_from(odd_folder)
    assert loaded.keys.layer == 1
    with StateTap(loaded.model, 1).reading(np.array([2])) as states, torch.inference_mode():
        every = loaded.model(IDS, output_hidden_states=True).hidden_states
    assert torch.equal(states.found, every[-1][0][[2]].float())
    model = TransformersModel(loaded)
    scores = await model.score([Branch("What is it?", (" a dog",), keyed=True)])
    model.close()
    [key] = scores.keys
    assert key is not None
    assert np.linalg.norm(key) == pytest.approx(1)


def test_a_model_of_which_nothing_is_known_is_refused(odd_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(odd_folder)
    model.base_model_prefix = ""
    with pytest.raises(ModelUnusable, match="a model of type odd cannot be used"):
        StateTap(model, 1)
