"""Thresholds, on probes whose nearest facts are known."""

from __future__ import annotations

import math

import pytest

from evaluation.scopes.banks import Probe
from evaluation.scopes.curves import Sample, Search, Thresholds
from evaluation.scopes.weighing import Near, Weighed


def paraphrase(*near: tuple[float, float, bool]) -> Weighed:
    facts = (Near("fact", product, answered, right) for product, answered, right in near)
    return Weighed(Probe("q", 0, "set"), tuple(facts))


def unrelated(*near: tuple[float, float]) -> Weighed:
    facts = (Near("fact", product, answered, False) for product, answered in near)
    return Weighed(Probe("q", None, "set"), tuple(facts))


def test_without_confirmation_only_the_floor_decides() -> None:
    sample = Sample([paraphrase((0.6, 0.0, True)), unrelated((0.5, 0.9))])
    for floor, won, alone in ((0.4, 1, 0), (0.55, 1, 1), (0.7, 0, 1)):
        point = sample.point(Thresholds(floor))
        assert (point.won, point.alone, point.asked) == (won, alone, 0)


def test_what_is_not_sure_counts_as_far_as_the_model_would_answer_with_it() -> None:
    sample = Sample([paraphrase((0.6, 1.0, True)), unrelated((0.6, math.exp(-2)))])
    assert sample.point(Thresholds(0.5, 0.9, 0.1)).won == 1
    assert sample.point(Thresholds(0.5, 0.9, 0.1)).alone == 1, "0.2 is taken off"
    assert sample.point(Thresholds(0.5, 0.9, 0.1)).asked == 1
    assert sample.point(Thresholds(0.5, 0.9, 0.04)).alone == 0
    assert sample.point(Thresholds(0.5, 0.6, 0.1)).alone == 0, "it is sure"
    assert sample.point(Thresholds(0.5, 0.6, 0.1)).asked == 0


def test_a_fact_below_the_floor_never_counts() -> None:
    sample = Sample([paraphrase((0.6, math.exp(2), True))])
    assert sample.point(Thresholds(0.7, 0.9, 0.1)).won == 0


def test_what_was_not_asked_about_is_not_confirmed() -> None:
    near = Near("fact", 0.6, None, is_right=True)
    sample = Sample([Weighed(Probe("q", 0, "set"), (near,))])
    assert sample.point(Thresholds(0.5, 0.9, 0.1)).won == 0


def test_the_right_fact_has_to_have_the_most_evidence() -> None:
    sample = Sample([paraphrase((0.7, math.exp(-2), False), (0.65, 1.0, True))])
    assert sample.point(Thresholds(0.4)).won == 0
    assert sample.point(Thresholds(0.4, 0.9, 0.1)).won == 1
    assert sample.point(Thresholds(0.68, 0.9, 0.1)).won == 0
    assert sample.point(Thresholds(0.4, 0.68, 0.1)).won == 0, "the wrong one is sure"


def test_a_fact_about_a_name_that_the_query_does_not_mention_has_to_be_sure() -> None:
    twin = Weighed(Probe("q", None, "set"), (Near("fact", 0.7, 0.9, False, of_another=True),))
    assert Sample([twin]).point(Thresholds(0.5)).alone == 0, "by keys only"
    assert Sample([twin]).point(Thresholds(0.5, 0.8, 0.1)).alone == 1
    assert Sample([twin]).point(Thresholds(0.5, 0.8, 0.1)).asked == 0
    assert Sample([twin]).point(Thresholds(0.5, 0.6, 0.1)).alone == 0


def test_a_share_of_nothing_is_no_number() -> None:
    point = Sample([paraphrase((0.6, 0.3, True))]).point(Thresholds(0.5))
    assert point.won == 1
    assert math.isnan(point.alone)
    assert math.isnan(Sample([unrelated((0.5, 0.2))]).decided().area)


def test_users_without_facts_leave_everything_alone_and_win_nothing() -> None:
    point = Sample([paraphrase(), unrelated()]).point(Thresholds(0.3))
    assert (point.won, point.alone) == (0, 1)


def area(*weighed: Weighed) -> float:
    return round(Sample(weighed).decided().area, 6)


def test_the_area_is_that_of_what_is_won_before_unrelated_queries_change() -> None:
    won = [paraphrase((0.9, 0.0, True)), paraphrase((0.5, 0.0, True))]
    assert area(*won, unrelated((0.7, 0.0))) == 0.5
    assert area(*won, unrelated((0.4, 0.0))) == 1
    assert area(*won, unrelated((0.5, 0.0))) == 0.75, "ties are half won"
    assert area(paraphrase((0.9, 0.0, False)), unrelated((0.4, 0.0))) == 0
    assert area(*won, unrelated((0.2, 0.0))) == 1, "below the lowest floor"
    assert area(*won, paraphrase((0.2, 0.0, True)), unrelated((0.2, 0.0))) == round(5 / 6, 6)


def test_balanced_groups_count_the_same() -> None:
    many, few = 40, 30
    won, lost = paraphrase((0.9, 0.0, True)), paraphrase((0.1, 0.0, True))
    sample = Sample.balanced([[won] * many, [lost] * few])
    assert sample.point(Thresholds(0.5)).won == pytest.approx(0.5)
    assert sample.paraphrases == many + few


def test_a_group_of_few_probes_counts_less() -> None:
    sample = Sample.balanced([[paraphrase((0.9, 0.0, True))] * 30, [paraphrase((0.1, 0.0, True))]])
    assert sample.point(Thresholds(0.5)).won == pytest.approx(30 / 31)


def test_the_best_thresholds_win_most_of_those_that_keep_enough() -> None:
    sample = Sample(
        [
            paraphrase((0.8, 0.5, True)),
            paraphrase((0.6, 1.0, True)),
            unrelated((0.7, 0.01)),
            unrelated((0.4, 1.0)),
        ]
    )
    best = Search(sample, keep=1.0).best
    assert best is not None
    assert (best.point.won, best.point.alone) == (1, 1)
    assert best.thresholds.sure > 0.7, "what is not right at 0.7 has to be doubted"
    assert best.thresholds.confirmation > 0
    assert 0.4 < best.thresholds.floor <= 0.6
    half = Search(sample, keep=0.5).best
    assert half is not None
    assert half.point.alone == 1, "of what wins the same, the one that leaves more alone"


def test_there_may_be_no_thresholds_that_keep_enough() -> None:
    assert Search(Sample([unrelated((1.0, 1.0))]), keep=0.5).best is None
