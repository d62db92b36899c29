"""Which device the model runs on, and in which number format."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

import torch

from server.errors import ModelUnusable

Device = Literal["auto", "cpu", "cuda", "mps"]
NumberFormat = Literal["auto", "float32", "bfloat16", "float16"]

_FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(wanted: Device) -> torch.device:
    """The device asked for; "auto" is a GPU where there is one, else the processor."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelUnusable("KGT_DEVICE is cuda, but torch finds no usable GPU; set KGT_DEVICE=cpu")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ModelUnusable("KGT_DEVICE is mps, but torch finds none here; set KGT_DEVICE=cpu")
    return torch.device(wanted)


def choose_number_format(wanted: NumberFormat, device: torch.device) -> torch.dtype:
    """The format asked for; "auto" is bfloat16 where the hardware computes in it, else float32.

    Decided only by what the hardware can do, never by a timing, so that answers stay the same from
    start to start.
    """
    if wanted != "auto":
        return _FORMATS[wanted]
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if has_bfloat16 else torch.float16
    if device.type == "cpu" and processor_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def processor_has_bfloat16() -> bool:
    """Whether the processor has AVX512-BF16 or AMX-BF16 instructions."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = text.partition("flags")[2].partition("\n")[0].split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def name_of(number_format: torch.dtype) -> str:
    """The format's name, such as "bfloat16"."""
    return str(number_format).removeprefix("torch.")
