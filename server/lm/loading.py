"""From a model's name to weights in memory: which files, which device, which number format, which
adapter."""

from __future__ import annotations

import hashlib
import logging
import platform
import threading
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from server.errors import ModelUnusable, StartupError
from server.lm.conversion import CacheUnwritable, converted, file_digest, intact
from server.lm.folders import DEFAULT_MODEL, default_model_folder
from server.lm.progress import Progress, counting_tensors
from server.lm.whole import (
    first_line,
    named_few,
    require_json,
    require_safetensors,
    require_whole_weights,
    unusable,
)

Device = Literal["auto", "cpu", "cuda", "mps"]
NumberFormat = Literal["auto", "float32", "bfloat16", "float16"]

_GGUF = ".gguf"
_ADAPTER_CONFIG = "adapter_config.json"
_NO_ADAPTER = "no-adapter-is-looked-for"
"""Where transformers looks for an adapter: not in the model's folder, where it would attach one
that nobody named."""

_log = logging.getLogger("kgt")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What to load. `adapter`: "auto" is the one that ships with the default model, "none" is none,
    else a folder."""

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


def load(choice: ModelChoice, stop: threading.Event | None = None) -> LoadedModel:
    """Load weights, tokenizer and adapter, all of them or nothing. Raises ModelUnusable with what
    to do.

    Tells in the log what it is doing. `stop`, once set, ends it as StartupError.
    """
    progress = Progress(stop)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if choice.threads:
        torch.set_num_threads(choice.threads)
    device = choose_device(choice.device)
    number_format = choose_number_format(choice.number_format, device)
    adapter = _adapter_folder(choice)
    try:
        with progress.step(f"loading model {choice.model}"):
            source = _source(choice, torch.float32 if adapter else number_format, progress)
            return _loaded(source, adapter, device, number_format, progress)
    except (StartupError, KeyboardInterrupt):
        raise
    except (
        Exception
    ) as error:  # libraries tell damage in many ways: OSError, SafetensorError, struct.error, ...
        raise ModelUnusable(
            f"{choice.model!r} cannot be loaded as a causal language model: {first_line(error)}."
            " KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"
        ) from error


def _loaded(
    source: _Source,
    adapter: Path | None,
    device: torch.device,
    number_format: torch.dtype,
    progress: Progress,
) -> LoadedModel:
    config = AutoConfig.from_pretrained(source.place, **source.options)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and "AutoModelForCausalLM" not in getattr(
        config, "auto_map", {}
    ):
        raise ModelUnusable(
            f"{source.place} holds a {config.model_type} model, which is not a causal language model"
        )
    if source.folder is not None:
        require_whole_weights(source.folder)
    tokenizer = _tokenizer(source, config)
    with counting_tensors(progress):
        model = _whole_model(source, torch.float32 if adapter else number_format)
    if adapter is not None:
        model = _with_adapter(model, adapter)
    model = model.to(device=device, dtype=number_format).eval()
    progress.say("reading the fingerprint")
    fingerprint = f"{_fingerprint_of(source, config)}-{device.type}-{str(number_format).removeprefix('torch.')}"
    adapter_fingerprint = _digest_files(sorted(adapter.glob("adapter_*"))) if adapter else ""
    return LoadedModel(model, tokenizer, _context_tokens(model), fingerprint, adapter_fingerprint)


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
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            wanted
        ]
    if device.type == "cuda":
        return (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float16
        )
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


@dataclass(frozen=True, slots=True)
class _Source:
    """What transformers loads from: a folder, a hub id, or a GGUF file in a folder where it could
    not be converted."""

    place: str
    gguf: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder with weights of the model's own; None where there is none to be looked at."""
        return Path(self.place) if self.gguf is None and Path(self.place).is_dir() else None

    @property
    def options(self) -> dict[str, Any]:
        return {"gguf_file": self.gguf.name} if self.gguf is not None else {}


def _source(choice: ModelChoice, number_format: torch.dtype, progress: Progress) -> _Source:
    """Where the model is, converted first if it is a GGUF file. Raises ModelUnusable."""
    if choice.model == DEFAULT_MODEL:
        folder = default_model_folder(choice.cache)
        if not (folder / "config.json").exists():
            raise ModelUnusable(
                f"the default model is not in {folder}; fetch it once with `python -m server.lm.fetch`"
            )
        try:
            require_whole_weights(folder)
            if not intact(folder):
                raise unusable(folder, "is not whole")
        except ModelUnusable as error:
            wrong = str(error).rpartition("; ")[0]
            raise ModelUnusable(
                f"{wrong}; delete {folder} and run `python -m server.lm.fetch`"
            ) from error
        return _Source(str(folder))
    path = Path(choice.model).expanduser()
    if path.suffix.lower() == _GGUF or path.is_file():
        return _from_gguf(path, choice.cache, number_format, progress)
    if path.is_dir():
        _require_model_folder(path)
        return _Source(str(path))
    if choice.model.startswith((".", "/", "~")) or choice.model.count("/") != 1:
        raise ModelUnusable(
            f"there is no folder {path}; KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"
        )
    return _Source(choice.model)


def _from_gguf(path: Path, cache: Path, number_format: torch.dtype, progress: Progress) -> _Source:
    if path.is_dir():
        raise unusable(path, "is a folder, where a GGUF file is expected", "name the file in it")
    if not path.exists():
        raise ModelUnusable(
            f"there is no file {path}; KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"
        )
    try:
        return _Source(str(converted(path, cache, number_format, progress)))
    except CacheUnwritable as error:
        _log.warning(
            "%s; %s is converted at every start. KGT_CACHE names another folder", error, path.name
        )
        return _Source(str(path.parent), path)
    except StartupError:
        raise
    except Exception as error:
        raise unusable(
            path,
            f"cannot be converted into {cache}: {first_line(error)}",
            "see that the disk has room (KGT_CACHE)",
        ) from error


def _require_model_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        if (folder / _ADAPTER_CONFIG).is_file():
            raise ModelUnusable(
                f"{folder} holds an adapter and no model; set KGT_MODEL to its base model and KGT_ADAPTER to this folder"
            )
        raise ModelUnusable(f"{folder} holds no config.json: it is not a model folder")
    if "model_type" not in require_json(folder / "config.json"):
        raise unusable(
            folder / "config.json", "says no model_type: it is not a model's configuration"
        )
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (path := folder / name).exists() or path.is_symlink():
            require_json(path)


def _tokenizer(source: _Source, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The model's own tokenizer. Raises ModelUnusable."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source.place, **source.options
        )
    except Exception as error:
        raise ModelUnusable(
            f"{source.place}: the tokenizer is missing or damaged: {first_line(error)}; copy or download it again"
        ) from error
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if not tokenizer("a").input_ids or len(tokenizer.get_vocab()) <= len(
        tokenizer.all_special_tokens
    ):
        raise ModelUnusable(
            f"{source.place}: the tokenizer has no vocabulary; copy or download its files too"
        )
    if (
        isinstance(rows, int) and tokenizer.vocab_size > rows
    ):  # a few that were added may have no row
        raise ModelUnusable(
            f"{source.place}: the tokenizer has {tokenizer.vocab_size} tokens and the model {rows};"
            " they do not belong together, copy or download them again"
        )
    return tokenizer


def _whole_model(source: _Source, number_format: torch.dtype) -> PreTrainedModel:
    """The model with every weight read from its files. Raises ModelUnusable naming what is missing
    or left over."""
    model, report = AutoModelForCausalLM.from_pretrained(
        source.place,
        dtype=number_format,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, by name
        adapter_kwargs={"subfolder": _NO_ADAPTER},
        **source.options,
    )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelUnusable(
            f"{source.place}: an adapter was attached that KGT_ADAPTER does not name; move it elsewhere"
        )
    weights = f"{source.place}: the weights do not make this model"
    if missing := report["missing_keys"]:
        raise ModelUnusable(f"{weights}: {named_few(missing)} missing; copy or download it again")
    if mismatched := report["mismatched_keys"]:
        raise ModelUnusable(
            f"{weights}: {named_few({key for key, *_ in mismatched})} of another shape than config.json says;"
            " copy or download it again"
        )
    if left_over := _of_this_model(model, report["unexpected_keys"]):
        raise ModelUnusable(
            f"{weights}: config.json has no place for {named_few(left_over)}; copy or download it again"
        )
    return model


def _of_this_model(model: PreTrainedModel, left_over: Collection[str]) -> set[str]:
    """Those of the weights left over that are in a part which the model has: a layer or bias too
    many.

    Other parts, such as a classifier's or an image encoder's, say nothing about the language model.
    """
    parts = {name for name, _ in model.named_children()} | {
        name for name, _ in model.base_model.named_children()
    }
    return {key for key in left_over if key.partition(".")[0] in parts}


def _adapter_folder(choice: ModelChoice) -> Path | None:
    if choice.adapter == "none" or (choice.adapter == "auto" and choice.model != DEFAULT_MODEL):
        return None
    if choice.adapter == "auto":
        with resources.as_file(resources.files("server.lm").joinpath("adapter")) as folder:
            return folder if (folder / _ADAPTER_CONFIG).exists() else None
    folder = Path(choice.adapter).expanduser()
    if not (folder / _ADAPTER_CONFIG).is_file():
        raise ModelUnusable(
            f"{folder} is no PEFT adapter (no adapter_config.json); set KGT_ADAPTER to one, or to none"
        )
    require_json(folder / _ADAPTER_CONFIG)
    if (weights := folder / "adapter_model.safetensors").exists() or not (
        folder / "adapter_model.bin"
    ).exists():
        require_safetensors(weights)
    return folder


def _with_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the adapter merged into its weights, in float32: no cost at run time. Raises
    ModelUnusable."""
    from peft import PeftConfig, PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # PEFT asks for what transformers has renamed; what is missing is told below
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            adapted = PeftModel(model, config)
            report = adapted.load_adapter(str(folder), "default")
            merged: PreTrainedModel = adapted.merge_and_unload()
    except Exception as error:
        raise ModelUnusable(
            f"the adapter {folder} does not fit the model: {first_line(error)}"
        ) from error
    for keys, wrong in (
        (report.missing_keys, "lacks"),
        (report.unexpected_keys, "does not fit the model: left over is"),
    ):
        if keys:
            raise ModelUnusable(
                f"the adapter {folder} {wrong} {named_few(keys)}; set KGT_ADAPTER to one made for it"
            )
    return merged


def _context_tokens(model: PreTrainedModel) -> int:
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    return 2048


def _fingerprint_of(source: _Source, config: PreTrainedConfig) -> str:
    if source.gguf is not None:
        return _digest_files([source.gguf])
    if source.folder is None:
        return hashlib.sha256(
            f"{source.place}@{getattr(config, '_commit_hash', '')}".encode()
        ).hexdigest()[:16]
    kinds = ("config.json", "tokenizer*", "*.safetensors", "*.bin", "*.index.json")
    found = {path for kind in kinds for path in source.folder.glob(kind) if path.is_file()}
    return _digest_files(sorted(path for path in found if not path.name.startswith("adapter_")))


def _digest_files(paths: list[Path]) -> str:
    """A hash of files, their names and all they hold: other weights have another one."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}:{file_digest(path)};".encode())
    return digest.hexdigest()[:16]
