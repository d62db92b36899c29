"""From a model's name to weights in memory: which files, which device, which number format, which adapter."""

from __future__ import annotations

import hashlib
import platform
import warnings
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from server.errors import ModelUnusable
from server.lm.folders import DEFAULT_MODEL, default_model_folder

Device = Literal["auto", "cpu", "cuda", "mps"]
NumberFormat = Literal["auto", "float32", "bfloat16", "float16"]

_CHUNK = 1 << 20
_STRIDE = 64 << 20
_GGUF = ".gguf"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What to load. `adapter`: "auto" is the one that ships with the default model, "none" is none, else a folder."""

    model: str = DEFAULT_MODEL
    adapter: str = "auto"
    cache: Path = Path()
    device: Device = "auto"
    number_format: NumberFormat = "auto"
    threads: int = 0
    """Processor threads; 0 is torch's choice, one for each core."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to be asked, and what tells it from another."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    context_tokens: int
    fingerprint: str
    adapter_fingerprint: str


def load(choice: ModelChoice) -> LoadedModel:
    """Load weights, tokenizer and adapter. Raises ModelUnusable with what to do."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if choice.threads:
        torch.set_num_threads(choice.threads)
    source, gguf = _source(choice)
    device = choose_device(choice.device)
    number_format = choose_number_format(choice.number_format, device)
    adapter = _adapter_folder(choice)
    try:
        extra: dict[str, Any] = {"gguf_file": gguf} if gguf else {}
        config = AutoConfig.from_pretrained(source, **extra)
        tokenizer = AutoTokenizer.from_pretrained(source, **extra)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32 if adapter else number_format, **extra)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelUnusable(
            f"{choice.model!r} cannot be loaded as a causal language model: {_first_line(error)}."
            " KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"
        ) from error
    if adapter is not None:
        model = _with_adapter(model, adapter)
    model = model.to(device=device, dtype=number_format).eval()
    fingerprint = f"{_fingerprint_of(source, gguf, config)}-{device.type}-{str(number_format).removeprefix('torch.')}"
    return LoadedModel(
        model,
        tokenizer,
        _context_tokens(model),
        fingerprint,
        _digest_files(sorted(adapter.glob("adapter_*"))) if adapter else "",
    )


def choose_device(wanted: Device) -> torch.device:
    """The device asked for; a GPU where there is one, else the processor."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelUnusable("KGT_DEVICE is cuda, but torch finds no usable GPU; set KGT_DEVICE=cpu")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ModelUnusable("KGT_DEVICE is mps, but torch finds none here; set KGT_DEVICE=cpu")
    return torch.device(wanted)


def choose_number_format(wanted: NumberFormat, device: torch.device) -> torch.dtype:
    """The format asked for; bfloat16 where the hardware computes in it, else float32.

    By features alone and never by a timing, so that answers do not change from start to start.
    """
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and processor_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def processor_has_bfloat16() -> bool:
    """Whether the processor has AVX512-BF16 or AMX-BF16 instructions."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _source(choice: ModelChoice) -> tuple[str, str | None]:
    """(what from_pretrained takes, the GGUF file in it if it is one)."""
    if choice.model == DEFAULT_MODEL:
        folder = default_model_folder(choice.cache)
        if not (folder / "config.json").exists():
            raise ModelUnusable(f"the default model is not in {folder}; fetch it once with `python -m server.lm.fetch`")
        return str(folder), None
    path = Path(choice.model).expanduser()
    if path.suffix == _GGUF:
        if not path.is_file():
            raise ModelUnusable(f"there is no file {path}; KGT_MODEL takes a Hugging Face folder, hub id or .gguf file")
        return str(path.parent), path.name
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelUnusable(f"{path} holds no config.json: it is not a model folder")
        return str(path), None
    if choice.model.startswith((".", "/", "~")) or choice.model.count("/") != 1:
        raise ModelUnusable(f"there is no folder {path}; KGT_MODEL takes a Hugging Face folder, hub id or .gguf file")
    return choice.model, None


def _adapter_folder(choice: ModelChoice) -> Path | None:
    if choice.adapter == "none" or (choice.adapter == "auto" and choice.model != DEFAULT_MODEL):
        return None
    if choice.adapter == "auto":
        with resources.as_file(resources.files("server.lm").joinpath("adapter")) as folder:
            return folder if (folder / "adapter_config.json").exists() else None
    folder = Path(choice.adapter).expanduser()
    if not (folder / "adapter_config.json").is_file():
        raise ModelUnusable(f"{folder} is no PEFT adapter (no adapter_config.json); set KGT_ADAPTER to one, or to none")
    return folder


def _with_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the adapter merged into its weights, in float32: no cost at run time."""
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks for what transformers has renamed
            merged: PreTrainedModel = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelUnusable(f"the adapter {folder} does not fit the model: {_first_line(error)}") from error
    return merged


def _context_tokens(model: PreTrainedModel) -> int:
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    return 2048


def _fingerprint_of(source: str, gguf: str | None, config: Any) -> str:
    folder = Path(source)
    if not folder.is_dir():
        return hashlib.sha256(f"{source}@{getattr(config, '_commit_hash', '')}".encode()).hexdigest()[:16]
    if gguf:
        return _digest_files([folder / gguf])
    kinds = ("config.json", "tokenizer*", "*.safetensors", "*.bin")
    return _digest_files(sorted({path for kind in kinds for path in folder.glob(kind)}))


def _digest_files(paths: list[Path]) -> str:
    """A hash of files: names, sizes, and a MiB at each 64 MiB of them, so that large weights do not delay a start."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with path.open("rb") as file:
            for at in range(0, size, _STRIDE):
                file.seek(at)
                digest.update(file.read(_CHUNK))
    return digest.hexdigest()[:16]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
