"""A model is loaded whole, from undamaged files, or refused in one line that names the file."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from server.errors import ModelUnusable
from server.lm.loading import ModelChoice, load
from server.lm.whole import require_gguf
from tests.lm.folders import POINTER, configure, loaded_from, logits, refused, rewrite
from tests.lm.tiny_models import make_gguf, tiny_tokenizer

ROOT = Path(__file__).parent.parent.parent
# Weights


@pytest.mark.parametrize(
    "part",
    [
        "lm_head.weight",
        "model.norm.weight",
        "model.embed_tokens.weight",
        "model.layers.1.",
        "mlp.up_proj",
        "model.layers.0.self_attn.q_proj.weight",
    ],
)
def test_missing_weights_are_named(folder: Path, part: str) -> None:
    rewrite(folder, lambda weights: [weights.pop(key) for key in list(weights) if part in key])
    message = refused(folder)
    assert part in message
    assert "missing" in message
    assert str(folder) in message


def test_many_missing_weights_are_counted(folder: Path) -> None:
    rewrite(folder, lambda weights: [weights.pop(key) for key in list(weights) if "layers" in key])
    assert "and 15 more" in refused(folder)


def test_a_layer_too_many_or_too_few_in_the_configuration_is_refused(folder: Path) -> None:
    configure(folder, num_hidden_layers=3)
    assert "model.layers.2." in refused(folder)
    configure(folder, num_hidden_layers=1)
    assert "no place for model.layers.1." in refused(folder)


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({"model.norm.weight": torch.zeros(47)}))
    message = refused(folder)
    assert "model.norm.weight" in message
    assert "another shape" in message


def test_weights_of_a_bias_that_the_model_lacks_are_refused(folder: Path) -> None:
    rewrite(
        folder,
        lambda weights: weights.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(48)}),
    )
    assert "q_proj.bias" in refused(folder)


def test_weights_of_other_parts_are_no_concern(llama_folder: Path, folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({"vision_tower.patch.weight": torch.zeros(3)}))
    assert torch.equal(logits(loaded_from(folder)), logits(loaded_from(llama_folder)))


def test_tied_weights_need_not_be_there(folder: Path) -> None:
    configure(folder, tie_word_embeddings=True)
    rewrite(folder, lambda weights: weights.pop("lm_head.weight"))
    model = loaded_from(folder).model
    assert torch.equal(model.get_output_embeddings().weight, model.get_input_embeddings().weight)


# Files


def sharded(folder: Path) -> list[Path]:
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="200KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    return sorted(folder.glob("model-*.safetensors"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_shards_are_loaded_and_each_must_be_whole(llama_folder: Path, folder: Path) -> None:
    shards = sharded(folder)
    assert len(shards) > 1
    assert torch.equal(logits(loaded_from(folder)), logits(loaded_from(llama_folder)))
    cut(shards[1])
    assert f"{shards[1]}: is cut" in refused(folder)
    shards[1].unlink()
    message = refused(folder)
    assert f"{shards[1]}: is missing" in message
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "index.json: names no files" in refused(folder)


WEIGHTS = "model.safetensors"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (WEIGHTS, POINTER, "Git LFS pointer"),
        ("tokenizer.json", POINTER, "Git LFS pointer"),
        ("config.json", POINTER, "Git LFS pointer"),
        (WEIGHTS, b"", "is empty"),
        (WEIGHTS, b"\x00" * 7, "is not a safetensors file"),
        (WEIGHTS, b"PK\x03\x04 not a model at all", "is not a safetensors file"),
        (WEIGHTS, struct.pack("<Q", 12) + b"not any JSON", "header that cannot be read"),
        (WEIGHTS, struct.pack("<Q", 500) + b"{}", "is cut"),
        (WEIGHTS, None, "is cut"),
        ("config.json", b"", "is empty"),
        ("config.json", b"{}", "says no model_type"),
        ("config.json", b"[]", "does not hold a JSON object"),
        ("config.json", None, "is not JSON"),
        ("config.json", b"[" * 100_000, "is not JSON"),
        ("tokenizer.json", None, "is not JSON"),
        ("tokenizer.json", b"{}", "tokenizer"),
        ("tokenizer_config.json", b"\xff\xfe", "is not JSON"),
        ("generation_config.json", b"", "is empty"),
    ],
)
def test_a_damaged_file_is_named(
    folder: Path, name: str, content: bytes | None, complaint: str
) -> None:
    path = folder / name
    if content is None:
        cut(path)
    else:
        path.write_bytes(content)
    message = refused(folder)
    assert complaint in message
    assert str(path) in message or "tokenizer" in message


def test_weights_with_something_behind_them_are_refused(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"more")
    assert "is damaged" in refused(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_and_a_folder_in_its_place_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    if name == "tokenizer.json":
        (folder / "tokenizer_config.json").unlink()
    assert name.partition(".")[0].removeprefix("model") in refused(folder)
    (folder / name).mkdir()
    assert refused(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be read by root")
def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / WEIGHTS).chmod(0)
    assert f"{folder / WEIGHTS}: cannot be read: Permission denied" in refused(folder)


@pytest.mark.parametrize("kind", ["vit", "t5", "bert-of-tomorrow", "clip"])
def test_a_configuration_of_another_kind_of_model_is_refused(folder: Path, kind: str) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    assert "causal language model" in refused(folder)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    configure(folder, vocab_size=300)
    rewrite(
        folder,
        lambda w: w.update(
            {k: w[k][:300].clone() for k in ("lm_head.weight", "model.embed_tokens.weight")}
        ),
    )
    assert "do not belong together" in refused(folder)


def test_a_byte_in_the_middle_of_large_weights_is_another_fingerprint(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update({"vision_tower.weight": torch.zeros(1 << 20)}))
    before = loaded_from(folder).fingerprint
    assert loaded_from(folder).fingerprint == before
    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert loaded_from(folder).fingerprint != before


# GGUF


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"GGUF\x03\x00\x00\x00", "cut or damaged"),
        (b"", "is empty"),
        (POINTER, "Git LFS pointer"),
        (b"GGML" + b"\x00" * 100, "is not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 99, 1, 1), "cut or damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60), "cut or damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62), "cut or damaged"),
    ],
)
@pytest.mark.parametrize("name", ["model.gguf", "Model.GGUF"])
def test_a_damaged_gguf_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refused(path, cache=tmp_path / "cache")
    assert complaint in message
    assert str(path) in message


def test_a_gguf_cut_anywhere_is_refused_and_a_whole_one_is_not(tmp_path: Path) -> None:
    whole = make_gguf(tmp_path / "whole.gguf")
    require_gguf(whole)
    content = whole.read_bytes()
    for length in [*range(1, len(content), len(content) // 50), len(content) - 1]:
        part = tmp_path / "part.gguf"
        part.write_bytes(content[:length])
        with pytest.raises(ModelUnusable):
            require_gguf(part)


def test_a_gguf_that_is_a_folder_or_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").mkdir()
    assert "is a folder" in refused(tmp_path / "model.gguf")
    assert "there is no file" in refused(tmp_path / "Missing.GGUF")


def test_a_file_that_is_no_gguf_is_said(folder: Path) -> None:
    assert "is not a GGUF file" in refused(folder / WEIGHTS)


def test_a_damaged_default_model_says_how_to_get_it_again(
    llama_folder: Path, tmp_path: Path
) -> None:
    from server.lm.folders import DEFAULT_MODEL, default_model_folder

    folder = shutil.copytree(llama_folder, default_model_folder(tmp_path))
    cut(folder / WEIGHTS)
    with pytest.raises(ModelUnusable, match=r"is cut.*python -m server\.lm\.fetch"):
        load(ModelChoice(DEFAULT_MODEL, "none", tmp_path, device="cpu"))


def test_a_server_without_a_whole_model_says_so_in_one_line_and_exits_with_2(
    folder: Path, tmp_path: Path
) -> None:
    rewrite(folder, lambda weights: weights.pop("lm_head.weight"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "server",
            "--data",
            str(tmp_path / "data"),
            "--model",
            str(folder),
            "--adapter",
            "none",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("kgt: ")]
    assert "lm_head.weight" in line
    assert f"loading model {folder}" in done.stderr


def test_a_word_that_only_the_tokenizer_knows_reaches_no_row() -> None:
    """A GGUF's tokenizer may have tokens of its own that the model has no weights for."""
    from server.lm.tokens import Tokenizer

    tokenizer = tiny_tokenizer(begins=False)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<surplus>"])
    assert max(Tokenizer(tokenizer, 256).prompt("a <surplus> b")) == rows
    assert max(Tokenizer(tokenizer, 256, rows=rows).prompt("a <surplus> b")) < rows
