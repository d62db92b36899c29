from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.methods.method import TargetLogprob
from evaluation.paper.metrics import METRICS, Asked, figure, of_case

HALF, QUARTER = math.log(0.5), math.log(0.25)


def cost(*logprobs: float, greedy: tuple[bool, ...] = ()) -> TargetLogprob:
    return TargetLogprob(logprobs, greedy or (False,) * len(logprobs))


def asked(
    new: TargetLogprob, true: TargetLogprob, before: TargetLogprob | None = None, says: bool = False
) -> Asked:
    return Asked(new, true, before, "", says)


def test_a_token_counts_by_its_mean_so_a_long_answer_is_not_punished() -> None:
    long, short = cost(HALF, HALF, HALF), cost(QUARTER)
    assert long.total < short.total
    assert asked(new=long, true=short).prefers_new


def test_a_tie_is_lost() -> None:
    assert not asked(cost(HALF), cost(HALF)).prefers_new
    assert not asked(cost(HALF), cost(QUARTER), before=cost(HALF)).beats_before


def test_the_papers_wording_compares_with_the_answer_before_any_edit() -> None:
    one = asked(new=cost(QUARTER), true=cost(HALF), before=cost(math.log(0.1)))
    assert (one.prefers_new, one.beats_before) == (False, True)
    assert asked(cost(QUARTER), cost(HALF), before=None).beats_before, "there was no answer"


def test_the_mean_is_taken_within_a_case_and_then_over_cases() -> None:
    won, lost = asked(cost(HALF), cost(QUARTER)), asked(cost(QUARTER), cost(HALF))
    one = of_case(won, [won, lost, lost, lost], [True], [])
    two = of_case(lost, [won], [False, True], [])
    assert (one["paraphrase"], two["paraphrase"]) == (0.25, 1.0)
    assert one["same subject kept"] is None
    assert two["other subjects kept"] == 0.5
    over = figure([[one["paraphrase"], two["paraphrase"]]])
    assert over is not None
    assert over.mean == 0.625, "not 2 of 5 prompts"


def test_token_accuracy_is_no_success() -> None:
    """All tokens but one are the likeliest, each after the right ones; the answer is lost."""
    new = cost(HALF, HALF, HALF, QUARTER, greedy=(True, True, True, False))
    metrics = of_case(asked(new, cost(HALF)), [], [], [])
    assert metrics["token accuracy"] == 0.75
    assert metrics["efficacy"] == metrics["generated"] == 0.0


def test_every_case_has_every_metric() -> None:
    assert tuple(of_case(asked(cost(HALF), cost(HALF)), [], [], [])) == METRICS


def test_what_was_not_asked_is_no_case() -> None:
    one = figure([[1.0, None], [None]])
    assert one is not None
    assert (one.mean, one.cases, one.seeds) == (1.0, 1, 1)
    assert figure([[None]]) is None


def test_deviations_are_over_cases_and_over_seeds() -> None:
    one = figure([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    assert one is not None
    values = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    assert one.mean == 0.5
    assert one.deviation == statistics.stdev(values)
    assert one.error == pytest.approx(statistics.stdev(values) / math.sqrt(8))
    assert one.seed_deviation == pytest.approx(statistics.stdev([0.75, 0.25]))


@pytest.mark.parametrize(
    ("wins", "cases", "is_chance"),
    [(50, 100, True), (54, 100, True), (59, 100, True), (65, 100, False), (56, 10_000, False)],
)
def test_what_a_coin_would_win_is_called_chance(wins: int, cases: int, is_chance: bool) -> None:
    won = wins * cases // 100
    one = figure([[1.0] * won + [0.0] * (cases - won)])
    assert one is not None
    assert one.is_chance is is_chance


costs = st.lists(st.floats(-20, -0.001), min_size=1, max_size=5).map(lambda all: cost(*all))


@given(costs, costs)
def test_one_answer_at_most_is_preferred(new: TargetLogprob, true: TargetLogprob) -> None:
    assert not (asked(new, true).prefers_new and asked(true, new).prefers_new)
    assert asked(new, true).prefers_new == (
        sum(new.logprobs) / len(new.logprobs) > sum(true.logprobs) / len(true.logprobs)
    )


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_figure_is_that_of_all_cases_together(values: list[list[float]]) -> None:
    every = [value for of_seed in values for value in of_seed]
    one = figure(values)
    assert one is not None
    assert one.mean == pytest.approx(statistics.fmean(every))
    assert (one.cases, one.seeds) == (len(every), len(values))
