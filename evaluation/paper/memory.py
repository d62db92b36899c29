"""The most memory that something takes while it runs."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def give_back() -> None:
    """Give memory that nothing holds any more back to the system, as far as it can be."""
    gc.collect()
    torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


class PeakMemory:
    """Measures the peak between `start` and `peak_mb`, in MB of 2^20 bytes.

    On a GPU it is what torch has allocated there. Elsewhere it is the whole process's resident
    memory, weights included: exactly that of the time in between on Linux, and the highest so far
    where the system cannot start over.
    """

    def __init__(self) -> None:
        self._on_gpu = torch.cuda.is_available()

    def start(self) -> None:
        """Begin to measure."""
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
        else:
            with contextlib.suppress(OSError):
                _RESET.write_text(_RESET_PEAK)

    def peak_mb(self) -> float:
        """The peak since `start`."""
        if self._on_gpu:
            return torch.cuda.max_memory_allocated() / 2**20
        if _STATUS.exists():
            return _status_mb("VmHWM")
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20

    def now_mb(self) -> float:
        """What is in use now; the highest so far where the system does not tell."""
        if self._on_gpu:
            return torch.cuda.memory_allocated() / 2**20
        return _status_mb("VmRSS") if _STATUS.exists() else self.peak_mb()


def _status_mb(name: str) -> float:
    """A figure that Linux gives of this process in KB."""
    (line,) = (s for s in _STATUS.read_text().splitlines() if s.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
