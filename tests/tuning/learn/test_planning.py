"""What the facts of a message come to, given those that the user has."""

from __future__ import annotations

from collections.abc import Sequence

from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical
from server.tuning.learn.filing import Filed
from server.tuning.learn.planning import Planned, instead, planned
from server.tuning.learn.single import SingleValued

VOCABULARY = Vocabulary.built_in()
SINGLE = SingleValued.built_in(VOCABULARY)
PAULA, PETRA = Triple.of("boss", "is called", "Paula"), Triple.of("boss", "is called", "Petra")
POLISH, CZECH = Triple.of("I", "speaks", "Polish"), Triple.of("I", "speaks", "Czech")
MEAT = Triple.of("dog", "Desires", "raw meat")


def said(triple: Triple, *, learned: bool = True) -> Filed:
    return Filed(triple, learned, owned=False, source="", taught_by="")


def plans(facts: Sequence[Filed], *standing: Triple) -> list[Planned]:
    return planned(facts, standing, SINGLE, VOCABULARY)


def removed(fact: Filed, *standing: Triple) -> tuple[Triple, ...]:
    (plan,) = plans([fact], *standing)
    return plan.removed


def test_a_new_value_takes_the_place_of_the_one_before() -> None:
    assert removed(said(PETRA), PAULA, POLISH) == (PAULA,)


def test_siblings_stay() -> None:
    assert removed(said(CZECH), POLISH, PAULA) == ()


def test_what_the_user_has_said_before_is_known() -> None:
    (plan,) = plans([said(POLISH)], POLISH)
    assert plan.is_known
    assert not plan.adds


def test_what_is_taken_back_goes_in_these_or_other_words() -> None:
    assert removed(said(POLISH, learned=False), POLISH, CZECH) == (POLISH,)
    eats = Triple.of("dog", "eats up", "the raw meat")
    assert removed(said(eats, learned=False), MEAT) == (MEAT,)
    meat = Triple.of("dog", "Desires", "meat")
    assert removed(said(meat, learned=False), MEAT) == (MEAT,)


def test_nothing_else_is_taken_back() -> None:
    meat = Triple.of("cat", "Desires", "raw meat")
    assert removed(said(meat, learned=False), MEAT, POLISH) == ()
    fish = Triple.of("dog", "Desires", "fish")
    assert removed(said(fish, learned=False), MEAT) == ()


def test_what_comes_in_the_same_message_does_not_go() -> None:
    both = plans([said(PAULA, learned=False), said(PETRA)], PAULA)
    assert [plan.removed for plan in both] == [(PAULA,), (PAULA,)]
    two = plans([said(PAULA), said(PETRA)], PAULA)
    assert [plan.removed for plan in two] == [(), ()]


def test_a_fact_takes_the_place_of_what_is_answered_instead() -> None:
    new, old = Triple.of("Ann", "was awarded", "a cup"), Triple.of("Ann", "was awarded", "a medal")
    (plan,) = plans([said(new)], old)
    assert plan.removed == ()
    changed = instead(plan, "A medal.", [CZECH, old], SINGLE, VOCABULARY)
    assert changed is not None
    assert changed.removed == (old,)
    assert instead(plan, "nothing", [old], SINGLE, VOCABULARY) is None
    (languages,) = plans([said(CZECH)], POLISH)
    assert instead(languages, "Polish", [POLISH], SINGLE, VOCABULARY) is None, "one of several"


def test_a_symmetric_fact_is_stored_in_its_one_form() -> None:
    near = Triple.of("mill", "LocatedNear", "bridge")
    stored = canonical(near, VOCABULARY)
    (plan,) = plans([said(near)])
    assert plan.stored == stored != near
    assert removed(said(near, learned=False), stored) == (stored,)
