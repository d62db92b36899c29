"""Loads a model: from its name to weights in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from server.lm.adapters import adapter_folder, merged
from server.lm.device import Device, NumberFormat, choose_device, choose_number_format, name_of
from server.lm.folders import DEFAULT_MODEL, cache_folder
from server.lm.keys import KeyRule, key_rule
from server.lm.packed import pack
from server.lm.progress import Progress, counting_tensors
from server.lm.source import Source, digest_files, find_source
from server.lm.template_adapter import TemplateAdapter, template_adapter
from server.lm.tokens import tokenizer_of
from server.lm.whole import first_line, named_few, require_whole_weights

_NO_ADAPTER = "no-adapter-is-looked-for"
"""Where transformers looks for an adapter. Not in the model's folder, where it would attach one
that nobody asked for."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What to load. For `adapter`, see adapters.adapter_folder."""

    model: str = DEFAULT_MODEL
    adapter: str = "auto"
    cache: Path = field(default_factory=cache_folder)
    device: Device = "auto"
    number_format: NumberFormat = "auto"
    threads: int = 0
    """Processor threads; 0 is torch's choice, one for each core."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to be asked, and the fingerprints that distinguish it from others."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    context_tokens: int
    fingerprint: str
    adapter_fingerprint: str
    keys: KeyRule
    learning: TemplateAdapter | None = None
    """The learning template's own adapter."""


def load(choice: ModelChoice, stop: threading.Event | None = None) -> LoadedModel:
    """Load weights, tokenizer and adapter. Raises ModelUnusable, which says what to do.

    Writes to the log what it is doing. Setting `stop` ends it with a StartupError.
    """
    progress = Progress(stop)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if choice.threads:
        torch.set_num_threads(choice.threads)
    device = choose_device(choice.device)
    number_format = choose_number_format(choice.number_format, device)
    adapter = adapter_folder(choice.adapter, choice.model)
    try:
        with progress.step(f"loading model {choice.model}"):
            kept_in = torch.float32 if adapter else number_format
            source = find_source(choice.model, choice.cache, kept_in, progress)
            return _loaded(source, adapter, device, number_format, choice.cache, progress)
    except (StartupError, KeyboardInterrupt):
        raise
    except Exception as error:
        # Libraries report damage in many ways: OSError, SafetensorError, struct.error, ...
        raise ModelUnusable(
            f"{choice.model!r} cannot be loaded as a causal language model: {first_line(error)}."
            " KGT_MODEL takes a Hugging Face folder, hub id or .gguf file"
        ) from error


def _loaded(
    source: Source,
    adapter: Path | None,
    device: torch.device,
    number_format: torch.dtype,
    cache: Path,
    progress: Progress,
) -> LoadedModel:
    config = AutoConfig.from_pretrained(source.place, **source.options)
    _require_causal(source, config)
    if source.folder is not None:
        require_whole_weights(source.folder)
    tokenizer = _tokenizer(source, config)
    with counting_tensors(progress):
        model = _whole_model(source, torch.float32 if adapter else number_format)
    if adapter is not None:
        model = merged(model, adapter)
    model = model.to(device=device, dtype=number_format).eval()
    pack(model)
    learning = template_adapter(model, adapter)
    progress.say("reading the fingerprint")
    fingerprint = f"{source.fingerprint(config)}-{device.type}-{name_of(number_format)}"
    adapter_fingerprint = digest_files(adapter.glob("adapter_*")) if adapter else ""
    both = f"{fingerprint} {adapter_fingerprint}"
    context_tokens = _context_tokens(model)
    texts = tokenizer_of(model, tokenizer, context_tokens)
    keys = key_rule(model, texts, both, adapter, cache, progress)
    return LoadedModel(
        model, tokenizer, context_tokens, fingerprint, adapter_fingerprint, keys, learning
    )


def _require_causal(source: Source, config: PreTrainedConfig) -> None:
    own_code = getattr(config, "auto_map", {})
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and "AutoModelForCausalLM" not in own_code:
        raise ModelUnusable(
            f"{source.place} holds a {config.model_type} model, which is not a causal language"
            " model"
        )


def _tokenizer(source: Source, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The model's own tokenizer. Raises ModelUnusable."""
    tokenizer = load_tokenizer(source.place, **source.options)
    rows = getattr(config.get_text_config(), "vocab_size", None)
    # A few tokens that were added to the vocabulary may have no row in the model
    if isinstance(rows, int) and tokenizer.vocab_size > rows:
        raise ModelUnusable(
            f"{source.place}: the tokenizer has {tokenizer.vocab_size} tokens and the model {rows};"
            " they do not belong together, copy or download them again"
        )
    return tokenizer


def load_tokenizer(place: str, **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer in the folder, or of the hub id, `place`. Raises ModelUnusable."""
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(place, **options)
    except Exception as error:
        raise ModelUnusable(
            f"{place}: the tokenizer is missing or damaged: {first_line(error)};"
            " copy or download it again"
        ) from error
    only_special = len(tokenizer.get_vocab()) <= len(tokenizer.all_special_tokens)
    if only_special or not tokenizer("a").input_ids:
        raise ModelUnusable(
            f"{place}: the tokenizer has no vocabulary; copy or download its files too"
        )
    return tokenizer


def _whole_model(source: Source, number_format: torch.dtype) -> PreTrainedModel:
    """The model with every weight read from its files.

    Raises ModelUnusable, which names the weights that are missing or left over.
    """
    model, report = AutoModelForCausalLM.from_pretrained(
        source.place,
        dtype=number_format,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # reported below, by name
        adapter_kwargs={"subfolder": _NO_ADAPTER},
        **source.options,
    )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelUnusable(
            f"{source.place}: an adapter was attached that KGT_ADAPTER does not name;"
            " move it elsewhere"
        )
    if wrong := _mismatch(model, report):
        raise ModelUnusable(
            f"{source.place}: the weights do not make this model: {wrong};"
            " copy or download it again"
        )
    return model


def _mismatch(model: PreTrainedModel, report: Mapping[str, Any]) -> str | None:
    """How the weights differ from what the configuration says; None where they do not."""
    if missing := report["missing_keys"]:
        return f"{named_few(missing)} missing"
    if mismatched := {key for key, *_ in report["mismatched_keys"]}:
        return f"{named_few(mismatched)} of another shape than config.json says"
    if left_over := _of_this_model(model, report["unexpected_keys"]):
        return f"config.json has no place for {named_few(left_over)}"
    return None


def _of_this_model(model: PreTrainedModel, left_over: Collection[str]) -> set[str]:
    """The left-over weights that belong to a part of this model: a layer or a bias too many.

    Other parts, such as a classifier or an image encoder, say nothing about the language model.
    """
    parts = {name for name, _ in model.named_children()}
    parts |= {name for name, _ in model.base_model.named_children()}
    return {key for key in left_over if key.partition(".")[0] in parts}


def _context_tokens(model: PreTrainedModel) -> int:
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
        if isinstance(value := getattr(config, name, None), int):
            return value
    return 2048
