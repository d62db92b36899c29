from __future__ import annotations

import sys

import pytest
import torch

from evaluation.paper.memory import PeakMemory, give_back

_LINUX = pytest.mark.skipif(
    sys.platform != "linux" or torch.cuda.is_available(), reason="only Linux starts over"
)


@_LINUX
def test_a_peak_is_seen_after_it_is_over_and_forgotten_at_the_next_start() -> None:
    memory = PeakMemory()
    give_back()
    memory.start()
    before = memory.peak_mb()
    taken = torch.ones(64 << 20, dtype=torch.uint8)
    assert taken[-1] == 1
    del taken
    assert memory.peak_mb() >= before + 60
    give_back()  # the allocator may have served it from a heap that it keeps
    memory.start()
    assert memory.peak_mb() < before + 60
    assert memory.now_mb() <= memory.peak_mb()
