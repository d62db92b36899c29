"""The default mode, which stops when Answer would say the feedback."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from server.graph.edit import StopReason
from server.graph.neighborhood import Neighborhood
from server.graph.triple import Stamp, Triple
from server.tuning.algorithm import best_alone, facts_of, margin, nothing, solve
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.objective import (
    MissingProbabilities,
    Probabilities,
    answer_probability,
    comparable,
)
from server.tuning.problem import Problem, Removal, Solution
from tests.tuning.views import NEAR, TAUGHT, probabilities, view, z

P_RELATIONS = {"Desires": 0.6, "AtLocation": 0.3, "IsA": 0.1, "HasA": 0.05}


def reader(view_: Neighborhood, h: tuple[Triple, ...], answers: list[str]) -> Probabilities:
    """P(a|q,z): 0.9 when z says a, 0.05 otherwise. The query is about all personal triples."""
    triples = {*(v.triple for v in view_), *h}
    return Probabilities(
        P_RELATIONS,
        {(t, a): 0.9 if t.tail.text == a else 0.05 for t in triples for a in answers},
        {v.triple: NEAR for v in view_ if v.is_personal} | dict.fromkeys(h, TAUGHT),
    )


def problem(
    base: dict[str, list[str]],
    feedback: str,
    before: str,
    personal: dict[str, list[str]] | None = None,
    relations: tuple[str, ...] = ("Desires", "HasA"),
) -> Problem:
    seen = view(base, personal)
    h = tuple(z(r, feedback) for r in relations)
    tails = [t for row in [*base.values(), *(personal or {}).values()] for t in row]
    return Problem(seen, h, feedback, before, reader(seen, h, [feedback, before, *tails]))


DOG = {"Desires": ["meat", "bones", "walks"], "AtLocation": ["kennel", "park"], "IsA": ["pet"]}
ANSWERS = ["poodle", *(tail for tails in DOG.values() for tail in tails)]


def test_one_triple_is_added_and_the_one_it_refutes_removed() -> None:
    solution = solve(problem(DOG, "vegetables", "meat"))
    assert solution.added == (z("Desires", "vegetables"),)
    assert solution.removed == (z("Desires", "meat"),)
    assert solution.stop_reason is StopReason.OVERTOOK
    assert solution.holds


def test_the_order_of_adding_is_reasoning_times_relation_probability() -> None:
    assert solve(problem(DOG, "vegetables", "meat", relations=("HasA", "Desires"))).added == (
        z("Desires", "vegetables"),
    )


def test_a_second_correction_supersedes_the_first() -> None:
    solution = solve(
        problem(
            {"Desires": ["bones"], "IsA": ["pet"]},
            "fish",
            "vegetables",
            {"Desires": ["vegetables"]},
        )
    )
    assert solution.added == (z("Desires", "fish"),)
    assert solution.removed == (z("Desires", "vegetables"),)


def test_with_removal_none_the_feedback_holds_too() -> None:
    solution = solve(replace(problem(DOG, "fish", "meat"), removal=Removal.NONE))
    assert solution.added == (z("Desires", "fish"),)
    assert solution.removed == ()


def test_feedback_that_the_base_has_is_put_first() -> None:
    asked = problem(DOG, "bones", "meat")
    solution = solve(asked)
    assert solution.added == (z("Desires", "bones"),)
    facts = facts_for_answer(solution.view, asked.probabilities, RetrievalRules())
    assert facts[0].triple == z("Desires", "bones")
    assert facts[0].in_base


def test_an_answer_before_that_the_feedback_begins_with_need_not_be_overtaken() -> None:
    asked = problem({"IsA": ["hobby"]}, "C++", "C", personal={"Desires": ["C"]})
    told = {
        **asked.probabilities.reasoning,
        (z("Desires", "C++"), "C"): 1.0,
        (z("HasA", "C++"), "C"): 1.0,
    }
    asked = replace(asked, probabilities=replace(asked.probabilities, reasoning=told))
    solution = solve(asked)
    assert solution.added == (z("Desires", "C++"),)
    assert solution.removed == (z("Desires", "C"),)
    assert solution.holds


def test_a_fact_that_says_what_the_feedback_begins_with_must_be_overtaken() -> None:
    asked = problem({"Desires": ["C"]}, "C++", "C", relations=("HasA",))
    told = {**asked.probabilities.reasoning, (z("HasA", "C++"), "C"): 1.0}
    asked = replace(
        asked, probabilities=replace(asked.probabilities, reasoning=told), removal=Removal.NONE
    )
    assert not solve(asked).holds


def test_the_answer_before_is_refuted_by_what_it_says_not_by_its_spelling() -> None:
    solution = solve(problem(DOG, "vegetables", "Meat."))
    assert z("Desires", "meat") in solution.removed


def test_facts_of_other_relations_that_raise_the_answer_before_are_removed_only_while_needed() -> (
    None
):
    """Only the base's facts, which weigh 1 together as Desires fish does, keep 'kennel' ahead.

    The facts are (Desires fish, AtLocation kennel, AtLocation hut).
    """
    base = {"AtLocation": ["kennel", "hut"]}
    seen, h = view(base), (z("Desires", "fish"),)
    known = probabilities(
        {"Desires": 0.3, "AtLocation": 0.4},
        {
            ("Desires", "fish"): {"fish": 0.6, "kennel": 0.1, "hut": 0.1},
            ("AtLocation", "kennel"): {"fish": 0.05, "kennel": 0.9, "hut": 0.1},
            ("AtLocation", "hut"): {"fish": 0.05, "kennel": 0.7, "hut": 0.2},
        },
        {("Desires", "fish"): 1.0},
    )
    solution = solve(Problem(seen, h, "fish", "kennel", known))
    # Before removing: fish (0.6 + 0.05/2 + 0.05/2) / 2 = 0.325, kennel (0.1 + 0.9/2 + 0.7/2) / 2 =
    # 0.45. Without AtLocation kennel: fish (0.6 + 0.05) / 2 = 0.325, kennel (0.1 + 0.7) / 2 = 0.4:
    # not enough. Without both: fish 0.6, kennel 0.1.
    assert solution.added == (z("Desires", "fish"),)
    assert set(solution.removed) == {z("AtLocation", "kennel"), z("AtLocation", "hut")}
    assert solution.holds


def test_at_most_max_removed_facts_are_removed_and_then_the_best_state_is_kept() -> None:
    base = {"AtLocation": [f"place {n}" for n in range(9)]}
    seen, h = view(base), (z("HasA", "fish"),)
    reasoning = {("AtLocation", t): {"fish": 0.01, "place 0": 0.9} for t in base["AtLocation"]}
    reasoning[("HasA", "fish")] = {"fish": 0.02, "place 0": 0.5}
    for row in reasoning.values():
        row.update({t: 0.5 for t in base["AtLocation"] if t not in row})
    known = probabilities({"HasA": 0.5, "AtLocation": 0.5}, reasoning)
    solution = solve(Problem(seen, h, "fish", "place 0", known, max_removed=2))
    assert solution.stop_reason is StopReason.EXHAUSTED
    assert not solution.holds
    assert len(solution.removed) <= 2


def test_facts_that_did_not_convince_the_model_are_passed_over() -> None:
    given_ = problem(DOG, "fish", "meat", relations=("Desires", "HasA", "IsA"))
    rejected: list[tuple[Triple, ...]] = []
    for _ in range(3):
        solution = solve(given_, rejected)
        assert solution.holds
        assert facts_of(given_, solution.view) not in rejected
        rejected.append(facts_of(given_, solution.view))
    assert rejected[0] == (z("Desires", "fish"), z("AtLocation", "kennel"), z("AtLocation", "park"))


def test_when_everything_was_rejected_the_best_state_is_kept() -> None:
    given_ = problem({"Desires": ["meat"]}, "fish", "meat", relations=("Desires",))
    rejected = [facts_of(given_, solve(given_).view)]
    solution = solve(given_, rejected)
    assert solution.stop_reason is StopReason.EXHAUSTED
    assert not solution.holds
    assert solution.added == (z("Desires", "fish"),)
    assert margin(given_, solution) > 0


def test_a_probability_that_was_not_asked_for_is_named() -> None:
    given_ = problem(DOG, "fish", "meat")
    with pytest.raises(MissingProbabilities) as missing:
        solve(
            replace(
                given_,
                probabilities=Probabilities(
                    P_RELATIONS, {(z(r, "fish"), "fish"): 0.9 for r in P_RELATIONS}
                ),
            )
        )
    assert (z("Desires", "fish"), "bones") in missing.value.pairs or missing.value.pairs


def test_the_refuted_fact_goes_whatever_its_relation_and_before_the_others_of_h() -> None:
    """The answer before rests on a fact of a place, and nothing of Desires says it."""
    asked = problem(DOG, "fish", "kennel", relations=("Desires", "AtLocation"))
    kept = solve(asked)
    assert kept.added == (z("Desires", "fish"),)
    assert kept.removed == (), "by probability it need not go"
    solution = solve(replace(asked, refuted=z("AtLocation", "kennel")))
    assert solution.added == (z("AtLocation", "fish"),), "what takes its place comes first"
    assert solution.removed == (z("AtLocation", "kennel"),)
    assert solution.holds


def test_a_refuted_fact_about_another_concept_goes_too() -> None:
    rex = Triple.of("Rex", "IsA", "poodle")
    asked = problem(DOG, "beagle", "poodle", relations=("Desires",))
    answers = {(rex, a): 0.9 if a == "poodle" else 0.05 for a in ("beagle", *ANSWERS)}
    answers |= {(v.triple, "poodle"): 0.05 for v in asked.view}
    known = asked.probabilities.with_reasoning(answers).with_scopes({rex: NEAR})
    asked = replace(asked, view=asked.view.with_added(rex, Stamp(1, 0)), probabilities=known)
    solution = solve(replace(asked, refuted=rex))
    assert solution.added == (z("Desires", "beagle"),)
    assert solution.removed == (rex,)


def test_other_values_of_what_is_added_need_not_be_overtaken_and_stay() -> None:
    """They weigh as much, and the model is even surer of them."""
    asked = problem({}, "Tove", "Emil", {"HasA": ["Emil", "Noor"]}, relations=("HasA", "Desires"))
    surer = {(z("HasA", "Noor"), "Noor"): 0.95}
    known = asked.probabilities.with_scopes({z("HasA", "Noor"): TAUGHT}).with_reasoning(surer)
    solution = solve(replace(asked, probabilities=known, refuted=z("HasA", "Emil")))
    assert solution.added == (z("HasA", "Tove"),)
    assert solution.removed == (z("HasA", "Emil"),)
    assert solution.holds


def test_with_removal_none_the_refuted_fact_stays() -> None:
    asked = problem(DOG, "fish", "kennel", relations=("Desires",))
    asked = replace(asked, refuted=z("AtLocation", "kennel"), removal=Removal.NONE)
    assert solve(asked).removed == ()


def test_the_refuted_fact_stays_out_where_another_triple_is_added_instead() -> None:
    """The first of H did not convince the model, the first two did, and the second is enough."""
    asked = problem(DOG, "fish", "meat", relations=("Desires", "HasA"))
    refuted = z("Desires", "meat")
    asked = replace(asked, refuted=refuted)
    first = solve(asked)
    assert (first.added, first.removed) == ((z("Desires", "fish"),), (refuted,))
    second = solve(asked, [facts_of(asked, first.view)])
    assert second.added == (z("HasA", "fish"),)
    assert second.removed == (refuted,)


def test_nothing_and_the_best_alone_remove_nothing() -> None:
    asked = replace(problem(DOG, "fish", "meat"), refuted=z("Desires", "meat"))
    assert nothing(asked).view == asked.view
    alone = best_alone(asked)
    assert (alone.added, alone.removed) == ((z("Desires", "fish"),), ())
    assert not alone.holds


shares = st.floats(0.01, 0.99)
weights = st.floats(1, TAUGHT)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    relations = ["AtLocation", "Desires", "HasA", "IsA"]
    tails = st.lists(st.sampled_from(["a", "b", "c", "d", "fish"]), unique=True, max_size=4)
    base = {r: t for r in relations if (t := draw(tails))}
    personal = {
        r: t
        for r in relations
        if (t := draw(st.lists(st.sampled_from(["p", "q"]), unique=True, max_size=2)))
    }
    seen = view(base, personal)
    chosen = draw(st.lists(st.sampled_from(relations), unique=True, min_size=1))
    h = tuple(z(r, "fish") for r in chosen)
    before = draw(st.sampled_from(["a", "b", "p", "other"]))
    triples = {v.triple for v in seen}.union(h)
    answers = ("a", "b", "c", "d", "p", "q", "fish", "other")
    known = {(t, a): draw(shares) for t in triples for a in answers}
    scoped = [*(v.triple for v in seen if v.is_personal), *h]
    refutable = [v.triple for v in seen if v.triple.tail.text != "fish"]
    return Problem(
        seen,
        h,
        "fish",
        before,
        Probabilities(
            {r: draw(shares) for r in relations}, known, {t: draw(weights) for t in scoped}
        ),
        removal=draw(st.sampled_from([Removal.CONFLICTING, Removal.NONE])),
        refuted=draw(st.sampled_from([None, *refutable])),
    )


def favours_feedback(given_: Problem, view_: Neighborhood, added: tuple[Triple, ...]) -> bool:
    """The stop condition, written out once more from its definition. A tie is not a lead."""
    facts = facts_for_answer(view_, given_.probabilities, given_.retrieval)
    triples = [v.triple for v in facts]
    if not any(t in added for t in triples):
        return False
    values = {(t.head, t.relation) for t in added}
    rivals = {t.tail.text for t in triples if (t.head, t.relation) not in values}
    rivals |= {given_.answer_before or ""}
    feedback = comparable(answer_probability("fish", facts, given_.probabilities))
    return all(
        feedback > comparable(answer_probability(r, facts, given_.probabilities))
        for r in rivals - {"fish"}
    )


def rebuilt(given_: Problem, added: list[Triple], removed: list[Triple]) -> Neighborhood:
    seen = given_.view
    for position, triple in enumerate(added):
        seen = seen.with_added(triple, Stamp(9, position))
    for triple in removed:
        seen = seen.without(triple)
    return seen


@settings(max_examples=400)
@given(problems())
def test_every_solution_satisfies_the_stop_condition_and_no_change_in_it_is_needless(
    given_: Problem,
) -> None:
    solution = solve(given_)
    assert solution.holds == favours_feedback(given_, solution.view, solution.added)
    assume(solution.holds)
    if given_.refuted is not None and given_.removal is Removal.CONFLICTING:
        assert given_.refuted in solution.removed
    refuted = _refuted(given_, solution)
    for triple in solution.added:
        others = [t for t in solution.added if t != triple]
        refuting = {t.relation for t in others}
        kept = [
            t
            for t in solution.removed
            if t not in refuted or (t == given_.refuted and others) or t.relation in refuting
        ]
        assert not favours_feedback(given_, rebuilt(given_, others, kept), tuple(others))
    for triple in set(solution.removed) - refuted:
        kept = [t for t in solution.removed if t != triple]
        assert not favours_feedback(
            given_, rebuilt(given_, list(solution.added), kept), solution.added
        )


def _refuted(given_: Problem, solution: Solution) -> set[Triple]:
    relations = {t.relation for t in solution.added}
    return {
        t
        for t in solution.removed
        if t == given_.refuted or (t.relation in relations and t.tail.text == given_.answer_before)
    }


@settings(max_examples=200)
@given(problems())
def test_what_is_not_in_conflict_stays(given_: Problem) -> None:
    solution = solve(given_)
    assert len(solution.removed) <= given_.max_removed + len(_refuted(given_, solution))
    if given_.removal is Removal.NONE:
        assert solution.removed == ()
    before = {v.triple for v in given_.view}
    after = {v.triple for v in solution.view}
    assert before - after == set(solution.removed)
    assert after - before <= set(solution.added)
