"""PEFT adapters: which one is asked for, and merging it into the model's weights."""

from __future__ import annotations

import warnings
from importlib import resources
from pathlib import Path

from transformers import PreTrainedModel

from server.errors import ModelUnusable
from server.lm.folders import DEFAULT_MODEL
from server.lm.whole import (
    ADAPTER_CONFIG,
    first_line,
    named_few,
    require_json,
    require_safetensors,
)


def adapter_folder(adapter: str, model: str) -> Path | None:
    """The adapter's folder; None without one. Raises ModelUnusable.

    "auto" is the adapter that ships with the default model, "none" is none.
    """
    if adapter == "none" or (adapter == "auto" and model != DEFAULT_MODEL):
        return None
    if adapter == "auto":
        with resources.as_file(resources.files("server.lm").joinpath("adapter")) as folder:
            return folder if (folder / ADAPTER_CONFIG).exists() else None
    folder = Path(adapter).expanduser()
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelUnusable(
            f"{folder} is not a PEFT adapter (it has no {ADAPTER_CONFIG}); set KGT_ADAPTER to one,"
            " or to none"
        )
    require_json(folder / ADAPTER_CONFIG)
    weights = folder / "adapter_model.safetensors"
    if weights.exists() or not (folder / "adapter_model.bin").exists():
        require_safetensors(weights)
    return folder


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the adapter merged into its weights, so that it costs nothing at run time.

    The weights should be float32 for this. Raises ModelUnusable.
    """
    from peft import PeftConfig, PeftModel

    try:
        with warnings.catch_warnings():
            # PEFT uses a name that transformers has changed. Missing keys are reported below.
            warnings.simplefilter("ignore")
            config = PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            adapted = PeftModel(model, config)
            report = adapted.load_adapter(str(folder), "default")
            whole: PreTrainedModel = adapted.merge_and_unload()
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
                f"the adapter {folder} {wrong} {named_few(keys)}; set KGT_ADAPTER to one that was"
                " made for this model"
            )
    return whole
