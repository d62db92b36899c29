from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.methods.registry import METHODS
from evaluation.methods.weights.catalog import WEIGHT_METHODS
from evaluation.paper.time_left import TYPICAL, Estimator, TimeLeft, in_words, told
from evaluation.paper.units import Units
from tests.evaluation.paper.test_tables import SETUP, unit


class Clock:
    """A clock that is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_takes_long_is_known_of_every_method_that_edits_weights() -> None:
    assert WEIGHT_METHODS.keys() <= TYPICAL.keys() <= METHODS.keys()


def test_what_a_method_took_before_is_what_it_is_expected_to_take(tmp_path: Path) -> None:
    units = Units(tmp_path)
    units.write(unit("ROME", 3, 0, 1))
    estimator = Estimator(units, SETUP, 10)
    assert estimator.typical("ROME").edit_s == pytest.approx(0.02), "10, 20 and 30 ms"
    assert estimator.typical("r-ROME") == TYPICAL["r-ROME"]
    assert estimator.typical("r-ROME (layers 3)") == TYPICAL["r-ROME"]


def test_of_systems_that_are_the_same_before_an_edit_the_first_asks(tmp_path: Path) -> None:
    estimator = Estimator(Units(tmp_path), SETUP, 10)
    first, second = (estimator.estimate(n, METHODS[n], 0, [10, 30]) for n in ("FT", "FT-L"))
    assert first.before_s > second.before_s == 0
    assert first.total_s(30, [10, 30]) > first.total_s(30, [30]) > first.total_s(10, [10])


def test_the_time_left_follows_how_fast_the_run_is() -> None:
    clock = Clock()
    time = TimeLeft(1_000, clock)
    assert time.left_s == 1_000
    time.begin(600)
    for _ in range(6):
        time.advance(100)
    clock.now_s = 1_260
    assert time.left_s == pytest.approx(800), "twice as slow as expected"
    time.begin(400, spared_s=300)
    assert time.left_s == pytest.approx(200), "an earlier run did some of it"
    time.begin(0)
    assert time.left_s == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3_000, "50 min"), (9e3, "2.5 h")],
)
def test_times_are_told_in_the_unit_that_suits_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_longest_method_is_told_first() -> None:
    line = told({"FT": 60.0, "KN": 600.0})
    assert line.startswith("about 11 min on two cores")
    assert line.endswith("KN 10 min, FT 60 s")
