"""Literal mode, compared with Algorithm 1 as the paper prints it.

The transcription follows the paper line by line and shares no code with the service.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Triple
from server.tuning.algorithm import solve
from server.tuning.objective import Probabilities, minimal_loss
from server.tuning.problem import Problem, Removal, Stopping
from tests.tuning.views import TAUGHT, probabilities, view, z

RELATIONS = ["AtLocation", "Desires", "IsA", "UsedFor"]
FEEDBACK = "fish"


def algorithm_1(
    g: list[Triple],
    h: list[Triple],
    p_relation: dict[str, float],
    p_answer: dict[Triple, float],
    epsilon: float,
) -> tuple[list[Triple], str]:
    """Algorithm 1 of the paper: the triples that start at e_q at the end, and why it ended.

    `g` are those triples at the start.
    """

    def loss() -> float:  # Eq. 7, with Eq. 5 for P(z|q)
        normalizer = sum(p_relation[x.relation] for x in g)
        total = 0.0
        for x in h:
            retrieval = p_relation[x.relation] / normalizer if x in g else 0.0
            total += math.log(p_answer[x] * retrieval) if retrieval > 0 else -math.inf
        return -total / len(h)

    def small_enough() -> bool:
        # Losses that are equal to nine decimals are equal.
        return round(epsilon - loss(), 9) >= 0

    def in_order(x: Triple) -> float:
        # Probabilities that are equal to four decimals of ln P keep their order.
        return round(math.log(p_answer[x]), 4)

    g = list(g)
    n_h = len(h)  # line 3
    h_sorted = sorted(h, key=in_order, reverse=True)  # lines 4-5
    g_sorted = sorted((x for x in g if x not in h), key=in_order)  # lines 6-7
    n_g = len(g_sorted)
    if small_enough():  # line 8
        return g, "loss"
    count_add = count_remove = 0  # line 9
    while count_add < n_h or count_remove < n_g:  # line 10
        if count_add < n_h:  # line 11
            count_add += 1  # line 12
            if h_sorted[count_add - 1] not in g:
                g.append(h_sorted[count_add - 1])  # line 13
            if small_enough():  # lines 14-15
                return g, "loss"
        if count_remove < n_g:  # line 17
            count_remove += 1  # line 18
            g.remove(g_sorted[count_remove - 1])  # line 19
            if small_enough():  # lines 20-21
                return g, "loss"
    return g, "exhausted"  # line 24


shares = st.floats(0.01, 0.99)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Problem, dict[str, float], dict[Triple, float]]:
    base = {
        r: draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)) for r in RELATIONS
    }
    seen = view({r: tails for r, tails in base.items() if tails})
    chosen = draw(st.lists(st.sampled_from(RELATIONS), unique=True, min_size=1))
    h = tuple(z(r, FEEDBACK) for r in chosen)
    if draw(st.booleans()):  # one of H is in the base already
        base[h[0].relation].append(FEEDBACK)
        seen = view({r: tails for r, tails in base.items() if tails})
    p_relation = {r: draw(shares) for r in RELATIONS}
    triples = [v.triple for v in seen]
    triples.extend(h)
    p_answer = {t: draw(shares) for t in triples}
    known = Probabilities(
        p_relation,
        {(t, FEEDBACK): p for t, p in p_answer.items()},
        dict.fromkeys(h, TAUGHT) if draw(st.booleans()) else {},
        literal=True,
    )
    slack = draw(st.floats(0, 3))
    problem = Problem(
        seen,
        h,
        FEEDBACK,
        None,
        known,
        Stopping.LITERAL,
        Removal.LITERAL,
        minimal_loss(h, FEEDBACK, known) + slack,
    )
    return problem, p_relation, p_answer


@settings(max_examples=400)
@given(problems())
def test_literal_mode_is_algorithm_1(
    drawn: tuple[Problem, dict[str, float], dict[Triple, float]],
) -> None:
    problem, p_relation, p_answer = drawn
    expected, reason = algorithm_1(
        [v.triple for v in problem.view],
        list(problem.personalized),
        p_relation,
        p_answer,
        problem.epsilon,
    )
    solution = solve(problem)
    assert {v.triple for v in solution.view} == set(expected)
    assert solution.stop_reason.value == reason
    assert solution.holds == (reason == "loss")


def _dog(epsilon: float) -> Problem:
    """H = {Desires fish, HasA fish}; G_q = {Desires meat, IsA pet}."""
    known = probabilities(
        {"Desires": 0.5, "HasA": 0.25, "IsA": 0.25},
        {
            ("Desires", "fish"): {FEEDBACK: 0.8},
            ("HasA", "fish"): {FEEDBACK: 0.4},
            ("Desires", "meat"): {FEEDBACK: 0.1},
            ("IsA", "pet"): {FEEDBACK: 0.2},
        },
    )
    seen = view({"Desires": ["meat"], "IsA": ["pet"]})
    return Problem(
        seen,
        (z("Desires", "fish"), z("HasA", "fish")),
        FEEDBACK,
        "meat",
        known,
        Stopping.LITERAL,
        Removal.LITERAL,
        epsilon,
    )


def test_the_order_is_add_best_remove_worst_in_turns() -> None:
    """Worked out by hand.

    After both additions and both removals the graph is H, with P = 2/3 and 1/3:
    L = -(ln(0.8 * 2/3) + ln(0.4 * 1/3)) / 2 = 1.3217. One step earlier IsA pet is still there, so
    P = 0.5 and 0.25: L = -(ln 0.4 + ln 0.1) / 2 = 1.6094.
    L_min = -(ln 0.8 + ln 0.4) / 2 + ln 2 = 1.2629.
    """
    last = solve(_dog(1.33))
    assert last.added == (z("Desires", "fish"), z("HasA", "fish"))
    assert last.removed == (z("Desires", "meat"), z("IsA", "pet"))
    assert last.stop_reason is StopReason.LOSS
    earlier = solve(_dog(1.61))
    assert earlier.added == last.added
    assert earlier.removed == (z("Desires", "meat"),)


def test_a_threshold_out_of_reach_removes_all_and_says_exhausted() -> None:
    solution = solve(_dog(1.27))
    assert solution.stop_reason is StopReason.EXHAUSTED
    assert not solution.holds
    assert {v.triple for v in solution.view} == {z("Desires", "fish"), z("HasA", "fish")}


def test_ties_keep_the_order_they_came_in() -> None:
    known = Probabilities(
        {"Desires": 0.5, "HasA": 0.5}, {(z(r, "fish"), FEEDBACK): 0.5 for r in ("Desires", "HasA")}
    )
    h = (z("HasA", "fish"), z("Desires", "fish"))
    seen: Neighborhood = view({})
    problem = Problem(seen, h, FEEDBACK, None, known, Stopping.LITERAL, Removal.LITERAL, 99.0)
    assert solve(problem).added == h


def test_nothing_is_done_when_the_loss_is_small_enough_already() -> None:
    problem = _dog(1.33)
    settled = solve(problem).view
    again = solve(
        Problem(
            settled,
            problem.personalized,
            FEEDBACK,
            None,
            problem.probabilities,
            Stopping.LITERAL,
            Removal.LITERAL,
            1.33,
        )
    )
    assert (again.added, again.removed) == ((), ())
    assert again.stop_reason is StopReason.LOSS


def test_loss_without_removal_only_adds() -> None:
    problem = Problem(
        _dog(0).view,
        _dog(0).personalized,
        FEEDBACK,
        "meat",
        _dog(0).probabilities,
        Stopping.LITERAL,
        Removal.NONE,
        2.4,
    )
    solution = solve(problem)
    assert solution.removed == ()
    assert solution.stop_reason is StopReason.LOSS
    assert math.isfinite(problem.epsilon)
    with pytest.raises(AttributeError):
        problem.epsilon = 1.0  # type: ignore[misc]
