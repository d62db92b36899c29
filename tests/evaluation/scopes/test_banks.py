"""Users and probes, made of cases and of kinds."""

from __future__ import annotations

from pathlib import Path

from evaluation.corrections.cases import DEVELOPMENT, UNSEEN, Background, Case, Correction, Question
from evaluation.corrections.expectations import AsBefore, InView, NotOverwritten, Says
from evaluation.corrections.reading import Reading
from evaluation.corrections.selection import Selection
from evaluation.corrections.sets import SETS, CaseSet
from evaluation.scopes.banks import Bank, Probe, Taught, banks_of, groups
from evaluation.scopes.kinds import bank_of_kind, kind_banks
from training.kinds import Kind, read_kinds


def banks(*cases: Case, together: int | None = None) -> list[Bank]:
    of = CaseSet("set", lambda _: Reading(cases), together=together, drawn=False)
    return banks_of(of, Path(), Selection(DEVELOPMENT))


def case(query: str, *questions: Question, background: Background | None = None) -> Case:
    return Case(query, query, (Correction(query, "yes"),), questions, background or Background())


def test_what_is_said_in_other_words_has_a_right_fact_and_all_else_has_none() -> None:
    (bank,) = banks(
        case("first", Question("p", "one", Says("yes")), Question("n", "two", AsBefore())),
        case("second", Question("p", "three", Says("yes")), Question("v", "x", InView("yes"))),
    )
    assert [taught.query for taught in bank.facts] == ["first", "second"]
    assert bank.probes == (
        Probe("one", 0, "set"),
        Probe("two", None, "set"),
        Probe("three", 1, "set"),
    )


def test_a_fact_is_not_asked_in_its_own_words_and_a_second_answer_takes_its_place() -> None:
    background = Background(corrections=(Correction("Other", "no"),))
    (bank,) = banks(
        case(
            "other",
            Question("followed", "OTHER ", Says("yes")),
            Question("p", "else", Says("yes")),
            background=background,
        )
    )
    assert bank.facts == (Taught("other", "yes"),)
    assert [probe.query for probe in bank.probes] == ["else"]


def test_a_query_is_asked_once() -> None:
    (bank,) = banks(
        case("q", Question("a", "z", NotOverwritten("yes")), Question("b", "Z", AsBefore()))
    )
    assert bank.probes == (Probe("z", None, "set"),)


def test_an_alias_is_counted_apart() -> None:
    found = banks(
        case("q", Question("alias", "z", Says("yes")), Question("p", "y", Says("yes"))), together=1
    )
    assert groups(found) == ["set, alias", "set"]


def test_users_who_are_asked_nothing_are_left_out() -> None:
    assert banks(case("q", Question("followed", "q", Says("yes")))) == []


def test_a_set_without_this_half_has_no_users() -> None:
    assert banks_of(SETS["everyday"], Path(), Selection(UNSEEN)) == []


def test_a_first_person_user_has_as_many_facts_as_the_set_says() -> None:
    found = banks_of(SETS["firstperson"], Path(), Selection(DEVELOPMENT, cases=30))
    assert [len(bank.facts) for bank in found] == [24, 6]


# Kinds


def kind(name: str, **changed: tuple[str, ...]) -> Kind:
    fields = {
        "wordings": (f"what {name} does {{S}} have?", f"tell me {{S}}'s {name}"),
        "near": (f"who else has a {name} like {{S}}?",),
        "answers": ("red",),
        "subjects": ("Tom", "Ann"),
        **changed,
    }
    return Kind(name, "topic", "{S}", "has", statements=(), several=False, **fields)


def test_a_kind_is_asked_in_its_wordings_and_in_what_only_looks_alike() -> None:
    colour = kind("colour")
    bank = bank_of_kind(colour, [colour, kind("size"), kind("own", subjects=())])
    assert len(bank.facts) == 1
    taught = bank.facts[0].query
    first, other = ("Tom", "Ann") if "Tom" in taught else ("Ann", "Tom")
    assert taught == f"What colour does {first} have?"
    assert [(probe.query, probe.right) for probe in bank.probes] == [
        (f"Tell me {first}'s colour", 0),
        (f"Who else has a colour like {first}?", None),
        (f"What colour does {other} have?", None),
        (f"What size does {first} have?", None),
    ]


def test_only_held_out_kinds_are_asked_and_the_halves_share_none() -> None:
    development, unseen = kind_banks(DEVELOPMENT, None), kind_banks(UNSEEN, None)
    held_out = sum(kind.is_held_out for kind in read_kinds())
    assert len(development) + len(unseen) == held_out
    assert development and unseen
    assert not {b.facts for b in development} & {b.facts for b in unseen}
    assert kind_banks(DEVELOPMENT, 2) == development[:2]
