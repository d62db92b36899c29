"""The tokenizer of a model that is served elsewhere, by whatever name."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import ModelUnusable
from server.lm.remote.loading import served_tokenizer
from tests.lm.tiny_models import make_gguf


def test_a_tokenizer_is_a_folder_a_tokenizer_json_or_a_gguf_file(
    llama_folder: Path, tmp_path: Path
) -> None:
    places = [llama_folder, llama_folder / "tokenizer.json", make_gguf(tmp_path / "tiny.gguf")]
    by_folder, by_file, by_gguf = (served_tokenizer(str(place), tmp_path) for place in places)
    assert by_folder("the dog").input_ids == by_file("the dog").input_ids
    assert by_gguf("the dog", add_special_tokens=False).input_ids


def test_without_a_tokenizer_it_says_what_to_set(tmp_path: Path) -> None:
    for place in ("tiny", str(tmp_path), "smollm2", str(tmp_path / "tokenizer.json")):
        with pytest.raises(ModelUnusable, match="KGT_TOKENIZER"):
            served_tokenizer(place, tmp_path)
