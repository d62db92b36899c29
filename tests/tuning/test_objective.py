"""Eq. 1 to 7 against numbers worked out by hand: the example of docs/algorithm.md.

The view of dog: Desires meat, Desires bones, AtLocation kennel. p(Desires) = 0.6, p(AtLocation) =
0.2, so the denominator of Eq. 5 is 0.6 + 0.6 + 0.2 = 1.4: P(meat|q) = P(bones|q) = 3/7, P(kennel|q)
= 1/7.

With a personal triple, Desires carrots, whose scope weight is 3, the base's three together weigh 1:
P(carrots|q) = 3/4, P(meat|q) = P(bones|q) = 1/4 * 3/7, P(kennel|q) = 1/4 * 1/7.

The example goes on with Alice's dog, which likes carrots. With a floor of 0.8, a query at 0.9 of
what taught that has the scope weight e^2.
"""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.triple import Stamp, Triple
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    RetrievalWeights,
    answer_probability,
    evidence_lower_bound,
    fact_weights,
    loss,
    minimal_loss,
    posterior,
    probability,
    reasoning_loss,
    retrieval_loss,
    retrieval_probability,
)
from server.tuning.ports import ContinuationLogprob
from server.tuning.recall import scope_weight
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
CARROTS = z("Desires", "carrots")
TOLD = VIEW.with_added(CARROTS, Stamp(1, 0))
SCOPED = P.with_scopes({CARROTS: 3.0}).with_reasoning({(CARROTS, "bones"): 0.04})


def seen(*triples: Triple, among: Neighborhood = VIEW) -> list[ViewedTriple]:
    """These triples as the view has them."""
    found = [among.find(triple) for triple in triples]
    return [viewed for viewed in found if viewed is not None]


def test_a_continuations_probability_is_exp_of_mean_or_sum() -> None:
    two_tokens = ContinuationLogprob(math.log(0.25), 2)
    assert probability(two_tokens) == pytest.approx(0.5)
    assert probability(two_tokens, "sum") == pytest.approx(0.25)


def test_eq_5_counts_repeated_relations() -> None:
    assert retrieval_probability(MEAT, VIEW, P) == pytest.approx(3 / 7)
    assert retrieval_probability(KENNEL, VIEW, P) == pytest.approx(1 / 7)


def test_eq_5_is_zero_outside_the_view() -> None:
    assert retrieval_probability(CARROTS, VIEW, P) == 0.0
    assert retrieval_probability(MEAT, VIEW.without(MEAT), P) == 0.0
    # removed triples keep no mass: 0.6 / (0.6 + 0.2)
    assert retrieval_probability(BONES, VIEW.without(MEAT), P) == pytest.approx(0.75)


def test_eq_5_sums_to_one_over_the_view() -> None:
    assert sum(retrieval_probability(v.triple, VIEW, P) for v in VIEW) == pytest.approx(1)


def test_by_default_the_bases_triples_weigh_1_together_and_a_personal_one_its_scope_weight() -> (
    None
):
    weights = RetrievalWeights(TOLD, SCOPED)
    assert weights.total == pytest.approx(4)
    assert [weights.of(v) for v in seen(CARROTS, MEAT, BONES, KENNEL, among=TOLD)] == pytest.approx(
        [3, 3 / 7, 3 / 7, 1 / 7]
    )
    assert retrieval_probability(CARROTS, TOLD, SCOPED) == pytest.approx(3 / 4)
    assert retrieval_probability(KENNEL, TOLD, SCOPED) == pytest.approx(1 / 28)
    assert sum(retrieval_probability(v.triple, TOLD, SCOPED) for v in TOLD) == pytest.approx(1)


def test_on_a_hub_the_bases_triples_that_were_not_read_have_their_share_of_the_1() -> None:
    [place, desires] = TOLD.slices
    hub = replace(TOLD, slices=(place, replace(desires, base_count=8)))
    # 8 * 0.6 + 0.2 = 5
    assert RetrievalWeights(hub, SCOPED).total == pytest.approx(4)
    assert retrieval_probability(KENNEL, hub, SCOPED) == pytest.approx(0.2 / 5 / 4)


def test_personal_triples_share_by_their_scope_weights_where_the_base_has_nothing() -> None:
    told = view({}, {"Desires": ["carrots", "fish"]})
    known = probabilities({}, {}, {("Desires", "carrots"): 3.0, ("Desires", "fish"): 1.0})
    assert retrieval_probability(CARROTS, told, known) == pytest.approx(3 / 4)
    assert retrieval_probability(z("Desires", "fish"), told, known) == pytest.approx(1 / 4)


def test_a_triple_of_the_base_has_no_scope_weight_before_the_user_adds_it() -> None:
    """H may hold a triple that the base has."""
    known = P.with_scopes({MEAT: 3.0})
    assert retrieval_probability(MEAT, VIEW, known) == pytest.approx(3 / 7)
    assert fact_weights(seen(MEAT, KENNEL), known) == pytest.approx([3 / 4, 1 / 4])
    taken = VIEW.with_added(MEAT, Stamp(1, 0))
    # the base's others: bones 0.6 and kennel 0.2, together 1
    assert retrieval_probability(MEAT, taken, known) == pytest.approx(3 / 4)
    assert retrieval_probability(BONES, taken, known) == pytest.approx(3 / 16)


def test_in_literal_mode_scope_weights_change_no_probability() -> None:
    literal = replace(SCOPED, literal=True)
    # 3 * 0.6 + 0.2 = 2
    assert RetrievalWeights(TOLD, literal).total == pytest.approx(2)
    assert retrieval_probability(CARROTS, TOLD, literal) == pytest.approx(0.3)
    assert fact_weights(seen(CARROTS, KENNEL, among=TOLD), literal) == pytest.approx([0.6, 0.2])


@given(st.floats(1, 150), st.floats(1, 150))
def test_the_whole_view_has_probability_1_and_more_scope_weight_never_means_less(
    one: float, other: float
) -> None:
    less, more = (P.with_scopes({CARROTS: k}) for k in sorted((one, other)))
    assert sum(retrieval_probability(v.triple, TOLD, more) for v in TOLD) == pytest.approx(1)
    assert retrieval_probability(CARROTS, TOLD, less) <= retrieval_probability(CARROTS, TOLD, more)
    assert retrieval_probability(MEAT, TOLD, less) >= retrieval_probability(MEAT, TOLD, more)
    assert retrieval_probability(MEAT, VIEW, less) == retrieval_probability(MEAT, VIEW, more)


def test_eq_3_is_uniform() -> None:
    assert posterior([MEAT, KENNEL]) == {MEAT: 0.5, KENNEL: 0.5}


def test_eq_1_marginalises() -> None:
    # 3/7 * 0.1 + 3/7 * 0.5 + 1/7 * 0.2 = 2/7
    assert answer_probability("bones", seen(MEAT, BONES, KENNEL), P) == pytest.approx(2 / 7)
    # over bones and kennel only, renormalised: 0.75 * 0.5 + 0.25 * 0.2
    assert answer_probability("bones", seen(BONES, KENNEL), P) == pytest.approx(0.425)
    # over them with the whole view's denominator: (0.6 * 0.5 + 0.2 * 0.2) / 1.4
    whole = sum(
        retrieval_probability(fact, VIEW, P) * P.reasoning_of(fact, "bones")
        for fact in (BONES, KENNEL)
    )
    assert whole == pytest.approx(0.34 / 1.4)
    assert answer_probability("bones", [], P) == 0.0


def test_eq_1_with_a_personal_fact_weighs_it_against_the_bases_facts_together() -> None:
    facts = seen(CARROTS, BONES, KENNEL, among=TOLD)
    # the base's two: 0.6 / 0.8 and 0.2 / 0.8 of a weight of 1
    assert fact_weights(facts, SCOPED) == pytest.approx([3, 0.75, 0.25])
    # (3 * 0.04 + 0.75 * 0.5 + 0.25 * 0.2) / 4
    assert answer_probability("bones", facts, SCOPED) == pytest.approx(0.545 / 4)
    assert answer_probability("bones", facts[:1], SCOPED) == pytest.approx(0.04)


def test_eq_4_6_and_7() -> None:
    h = [BONES, KENNEL]
    assert retrieval_loss(h, VIEW, P) == pytest.approx(-(math.log(3 / 7) + math.log(1 / 7)) / 2)
    assert reasoning_loss(h, "bones", P) == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)
    assert loss(h, "bones", VIEW, P) == pytest.approx(-math.log((3 / 7 * 0.5) * (1 / 7 * 0.2)) / 2)


def test_eq_7_is_infinite_until_all_of_h_is_in_the_view() -> None:
    assert loss([BONES, CARROTS], "bones", VIEW, SCOPED) == math.inf
    # -(ln(1/4 * 3/7 * 0.5) + ln(3/4 * 0.04)) / 2
    assert loss([BONES, CARROTS], "bones", TOLD, SCOPED) == pytest.approx(
        -math.log((3 / 28 * 0.5) * (0.75 * 0.04)) / 2
    )


def test_the_smallest_loss_has_all_mass_on_h_in_equal_parts() -> None:
    h = [MEAT, BONES]
    only_h = VIEW.without(KENNEL)
    assert loss(h, "bones", only_h, P) == pytest.approx(minimal_loss(h, "bones", P))
    assert minimal_loss(h, "bones", P) < loss(h, "bones", VIEW, P)


def test_eq_2_is_eq_7_with_the_constant_that_eq_4_leaves_out() -> None:
    h = [BONES, KENNEL]
    bound = evidence_lower_bound(h, "bones", VIEW, P)
    assert bound == pytest.approx(-loss(h, "bones", VIEW, P) + math.log(2))
    assert bound <= math.log(answer_probability("bones", seen(MEAT, BONES, KENNEL), P))


def test_what_was_not_asked_is_named() -> None:
    with pytest.raises(MissingProbabilities) as missing:
        answer_probability("fish", seen(MEAT), P)
    assert missing.value.pairs == ((MEAT, "fish"),)


# The worked example's personal fact

ALICES_VIEW = view(
    {"Desires": ["meat", "bones"], "AtLocation": ["kennel"]}, {"Desires": ["carrots"]}
)
FLOOR = 0.7


def asked_at(product: float) -> Probabilities:
    """The probabilities for a query whose key has this product with that of Alice's fact."""
    said = P.with_reasoning({(CARROTS, "carrots"): 0.9, (KENNEL, "carrots"): 0.1})
    return said.with_scopes({CARROTS: scope_weight(product, FLOOR)})


def test_a_personal_fact_at_the_floor_weighs_as_much_as_the_base() -> None:
    at_the_floor = asked_at(FLOOR)
    assert retrieval_probability(CARROTS, ALICES_VIEW, at_the_floor) == pytest.approx(1 / 2)
    assert retrieval_probability(MEAT, ALICES_VIEW, at_the_floor) == pytest.approx(3 / 14)


def test_a_nearer_query_gives_a_personal_fact_more_and_leaves_the_rest_to_eq_5() -> None:
    near, whole = asked_at(0.95), math.e**2 + 1
    assert retrieval_probability(CARROTS, ALICES_VIEW, near) == pytest.approx(math.e**2 / whole)
    assert retrieval_probability(CARROTS, ALICES_VIEW, near) == pytest.approx(0.881, abs=5e-4)
    assert retrieval_probability(MEAT, ALICES_VIEW, near) == pytest.approx(0.051, abs=5e-4)
    assert retrieval_probability(KENNEL, ALICES_VIEW, near) == pytest.approx(0.017, abs=5e-4)


def test_eq_1_over_facts_weighs_a_personal_fact_against_the_base() -> None:
    near = asked_at(0.95)
    facts = facts_for_answer(ALICES_VIEW, near, RetrievalRules())
    assert [v.triple for v in facts] == [CARROTS, KENNEL]  # meat and bones give way to carrots
    expected = (math.e**2 * 0.9 + 0.1) / (math.e**2 + 1)
    assert answer_probability("carrots", facts, near) == pytest.approx(expected)
    assert expected == pytest.approx(0.805, abs=5e-4)


def test_the_query_that_teaches_a_fact_is_at_one() -> None:
    taught = asked_at(1.0)
    assert taught.scopes[CARROTS] == pytest.approx(math.e**2.4)
    assert loss([CARROTS], "carrots", VIEW, taught) == math.inf
    assert loss([CARROTS], "carrots", ALICES_VIEW, taught) == pytest.approx(0.192, abs=5e-4)
