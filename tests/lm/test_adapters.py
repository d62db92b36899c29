"""An adapter is merged where it is asked for, and one that does not fit is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from server.errors import ModelUnusable
from server.lm.loading import ModelChoice, load
from tests.lm.folders import POINTER, loaded_from, logits, refused, rewrite


def test_an_adapter_is_merged_and_gives_what_peft_gives(llama_folder: Path, adapter: Path) -> None:
    from peft import PeftModel

    ids = torch.tensor([[5, 6, 7, 8]])
    plain = AutoModelForCausalLM.from_pretrained(llama_folder)
    with torch.inference_mode():
        without = plain(ids).logits
        expected = PeftModel.from_pretrained(plain, str(adapter))(ids).logits
        loaded = load(
            ModelChoice(str(llama_folder), str(adapter), device="cpu", number_format="float32")
        )
        found = loaded.model(ids).logits
    assert torch.allclose(found, expected, atol=1e-4)
    assert not torch.allclose(found, without, atol=1e-2)
    assert loaded.adapter_fingerprint


def test_an_adapter_that_does_not_fit_is_said(
    gpt2_folder: Path, adapter: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnusable, match="does not fit"):
        load(ModelChoice(str(gpt2_folder), str(adapter), device="cpu", number_format="float32"))
    with pytest.raises(ModelUnusable, match="not a PEFT adapter"):
        load(ModelChoice(str(gpt2_folder), str(tmp_path), device="cpu", number_format="float32"))


def test_the_shipped_adapter_belongs_to_the_default_model_only(llama_folder: Path) -> None:
    assert load(ModelChoice(str(llama_folder), "auto", device="cpu")).adapter_fingerprint == ""


@pytest.mark.parametrize("choice", ["none", "auto"])
def test_an_adapter_in_the_models_folder_is_not_applied_unless_named(
    llama_folder: Path, folder: Path, adapter: Path, choice: str
) -> None:
    plain = loaded_from(llama_folder)
    for path in adapter.glob("adapter_*"):
        shutil.copy(path, folder)
    found = loaded_from(folder, choice)
    assert torch.equal(logits(found), logits(plain))
    assert found.adapter_fingerprint == ""
    assert found.fingerprint == plain.fingerprint


def test_an_adapter_in_the_models_folder_is_applied_once_where_it_is_named(
    llama_folder: Path, folder: Path, adapter: Path
) -> None:
    for path in adapter.glob("adapter_*"):
        shutil.copy(path, folder)
    named = loaded_from(folder, str(folder))
    assert torch.allclose(logits(named), logits(loaded_from(llama_folder, str(adapter))), atol=1e-6)
    assert named.adapter_fingerprint


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w: [w.pop(key) for key in list(w) if "layers.1" in key], "lacks"),
        (lambda w: w.update({f"x.{key}": w.pop(key) for key in list(w)}), "lacks"),
        (
            lambda w: w.update(
                {"base_model.model.model.layers.7.mlp.up_proj.lora_A.weight": torch.zeros(4, 48)}
            ),
            "left over",
        ),
        (lambda w: w.update({key: torch.zeros(3, 3) for key in list(w)[:1]}), "does not fit"),
        (lambda w: w.clear(), "lacks"),
    ],
)
def test_an_adapter_whose_keys_do_not_fit_is_refused(
    llama_folder: Path,
    adapter: Path,
    change: Callable[[dict[str, torch.Tensor]], object],
    complaint: str,
) -> None:
    rewrite(adapter, change, "adapter_model.safetensors")
    message = refused(llama_folder, str(adapter))
    assert complaint in message
    assert str(adapter) in message


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("adapter_model.safetensors", POINTER, "Git LFS pointer"),
        ("adapter_model.safetensors", b"abc", "is not a safetensors file"),
        ("adapter_config.json", b"{", "is not JSON"),
        ("adapter_config.json", b"{}", "adapter"),
    ],
)
def test_a_damaged_adapter_is_named(
    llama_folder: Path, adapter: Path, name: str, content: bytes, complaint: str
) -> None:
    (adapter / name).write_bytes(content)
    assert complaint in refused(llama_folder, str(adapter))


def test_an_adapter_without_weights_is_named(llama_folder: Path, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors: is missing" in refused(llama_folder, str(adapter))


def test_an_adapter_is_no_model(adapter: Path) -> None:
    assert "holds an adapter and no model" in refused(adapter)
