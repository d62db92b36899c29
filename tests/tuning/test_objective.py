"""Eq. 1 to 7 against numbers worked out by hand.

The view of dog: Desires meat, Desires bones, AtLocation kennel. p(Desires) = 0.6, p(AtLocation) =
0.2, so the denominator of Eq. 5 is 0.6 + 0.6 + 0.2 = 1.4: P(meat|q) = P(bones|q) = 3/7, P(kennel|q)
= 1/7.
"""

import math

import pytest

from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    evidence_lower_bound,
    loss,
    minimal_loss,
    posterior,
    probability,
    reasoning_loss,
    retrieval_loss,
    retrieval_normalizer,
    retrieval_probability,
)
from server.tuning.ports import ContinuationLogprob
from tests.tuning.views import probabilities, view, z

VIEW = view({"Desires": ["meat", "bones"], "AtLocation": ["kennel"]})
P = probabilities(
    {"Desires": 0.6, "AtLocation": 0.2},
    {
        ("Desires", "meat"): {"bones": 0.1, "meat": 0.8},
        ("Desires", "bones"): {"bones": 0.5, "meat": 0.2},
        ("AtLocation", "kennel"): {"bones": 0.2, "meat": 0.1},
    },
)
MEAT, BONES, KENNEL = z("Desires", "meat"), z("Desires", "bones"), z("AtLocation", "kennel")


def test_a_continuations_probability_is_exp_of_mean_or_sum() -> None:
    two_tokens = ContinuationLogprob(math.log(0.25), 2)
    assert probability(two_tokens) == pytest.approx(0.5)
    assert probability(two_tokens, "sum") == pytest.approx(0.25)


def test_eq_5_counts_repeated_relations() -> None:
    assert retrieval_normalizer(VIEW, P) == pytest.approx(1.4)
    assert retrieval_probability(MEAT, VIEW, P) == pytest.approx(3 / 7)
    assert retrieval_probability(KENNEL, VIEW, P) == pytest.approx(1 / 7)


def test_eq_5_is_zero_outside_the_view() -> None:
    assert retrieval_probability(z("Desires", "carrots"), VIEW, P) == 0.0
    assert retrieval_probability(MEAT, VIEW.without(MEAT), P) == 0.0
    # removed triples keep no mass: 0.6 / (0.6 + 0.2)
    assert retrieval_probability(BONES, VIEW.without(MEAT), P) == pytest.approx(0.75)


def test_eq_5_sums_to_one_over_the_view() -> None:
    assert sum(retrieval_probability(v.triple, VIEW, P) for v in VIEW) == pytest.approx(1)


def test_eq_3_is_uniform() -> None:
    assert posterior([MEAT, KENNEL]) == {MEAT: 0.5, KENNEL: 0.5}


def test_eq_1_marginalises() -> None:
    # 3/7 * 0.1 + 3/7 * 0.5 + 1/7 * 0.2 = 2/7
    assert answer_probability("bones", [MEAT, BONES, KENNEL], P) == pytest.approx(2 / 7)
    # over bones and kennel only, renormalised: 0.75 * 0.5 + 0.25 * 0.2
    assert answer_probability("bones", [BONES, KENNEL], P) == pytest.approx(0.425)
    # over them with the whole view's denominator: (0.6 * 0.5 + 0.2 * 0.2) / 1.4
    whole = sum(
        retrieval_probability(fact, VIEW, P) * P.reasoning_of(fact, "bones")
        for fact in (BONES, KENNEL)
    )
    assert whole == pytest.approx(0.34 / 1.4)
    assert answer_probability("bones", [], P) == 0.0


def test_eq_4_6_and_7() -> None:
    h = [BONES, KENNEL]
    assert retrieval_loss(h, VIEW, P) == pytest.approx(-(math.log(3 / 7) + math.log(1 / 7)) / 2)
    assert reasoning_loss(h, "bones", P) == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)
    assert loss(h, "bones", VIEW, P) == pytest.approx(-math.log((3 / 7 * 0.5) * (1 / 7 * 0.2)) / 2)


def test_eq_7_is_infinite_until_all_of_h_is_in_the_view() -> None:
    assert loss([BONES, z("Desires", "carrots")], "bones", VIEW, _with_carrots()) == math.inf


def _with_carrots() -> Probabilities:
    return P.with_reasoning({(z("Desires", "carrots"), "bones"): 0.3})


def test_the_smallest_loss_has_all_mass_on_h_in_equal_parts() -> None:
    h = [MEAT, BONES]
    only_h = VIEW.without(KENNEL)
    assert loss(h, "bones", only_h, P) == pytest.approx(minimal_loss(h, "bones", P))
    assert minimal_loss(h, "bones", P) < loss(h, "bones", VIEW, P)


def test_eq_2_is_eq_7_with_the_constant_that_eq_4_leaves_out() -> None:
    h = [BONES, KENNEL]
    bound = evidence_lower_bound(h, "bones", VIEW, P)
    assert bound == pytest.approx(-loss(h, "bones", VIEW, P) + math.log(2))
    assert bound <= math.log(answer_probability("bones", [MEAT, BONES, KENNEL], P))


def test_what_was_not_asked_is_named() -> None:
    with pytest.raises(MissingProbabilities) as missing:
        answer_probability("fish", [MEAT], P)
    assert missing.value.pairs == ((MEAT, "fish"),)
