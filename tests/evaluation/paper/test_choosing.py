from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from evaluation.methods.method import EditCase
from evaluation.paper.choosing import PARTS, TooLong, choose, outside
from training.sources import in_unseen_half, is_held_out

CASES = [
    EditCase(str(n), f"Person {n}", f"Person {n} was born in", "Oslo", "Rome", "P19")
    for n in range(400)
]
ANY = TooLong(len, 1_000)


def ids(items: Sequence[object]) -> list[str]:
    return [str(getattr(item, "id", "")) for item in items]


def test_a_smaller_size_has_the_first_of_the_same_cases() -> None:
    few, _ = choose(CASES, "all", 3, 10, ANY)
    many, _ = choose(CASES, "all", 3, 50, ANY)
    assert ids(few) == ids(many)[:10]


def test_a_seed_draws_its_own_cases_in_its_own_order() -> None:
    one, two = (ids(choose(CASES, "all", seed, 50, ANY)[0]) for seed in (1, 2))
    assert one != two
    assert one == ids(choose(CASES, "all", 1, 50, ANY)[0])


@pytest.mark.parametrize("part", PARTS)
def test_only_subjects_of_the_part_are_tested_and_none_outside(part: str) -> None:
    items, _ = choose(CASES, part, 0, 400, ANY)
    subjects = [item.case.subject for item in items]
    held_out = [s for s in subjects if is_held_out(s)]
    if part != "all":
        assert subjects == held_out != []
    if part == "unseen":
        assert all(map(in_unseen_half, subjects))
    tested = [item.case for item in items[:20]]
    others, _ = outside(CASES, part, tested, ANY)
    assert others
    assert not {c.subject for c in others} & {c.subject for c in tested}
    if part != "all":
        assert not any(is_held_out(c.subject) for c in others)


def test_what_is_passed_over_is_listed_with_the_reason() -> None:
    twin = replace(CASES[0], id="twin")
    unknown = replace(CASES[1], id="unknown", prompt="Person 1, of", relation="")
    long = replace(CASES[2], id="long", paraphrases=("It rained. " * 60 + "Person 2 is from",))
    items, left_out = choose([CASES[0], twin, unknown, long], "all", 0, 9, ANY)
    assert len(items) == 1
    kinds = {one.place: one.kind for one in left_out}
    assert kinds.pop("unknown") == "UnknownRelation"
    assert kinds.pop("long") == "TooLong"
    assert list(kinds.values()) == ["SamePrompt"]


def test_what_is_too_long_to_fit_a_method_is_listed_too() -> None:
    long = next(case for case in CASES if not is_held_out(case.subject))
    long = replace(long, id="long", paraphrases=("It rained. " * 60 + "Person 2 is from",))
    others, left_out = outside([long, *CASES], "held-out", [], TooLong(len, 1_000))
    assert "long" not in ids(others)
    assert [(one.place, one.kind) for one in left_out] == [("long", "TooLongToFit")]


def test_a_prompt_needs_room_for_what_a_system_adds() -> None:
    longest = max(len(f"{CASES[0].prompt} {t}") for t in ("Oslo", "Rome"))
    assert TooLong(len, 2 * longest)(CASES[0]) == ""
    assert f"{longest} tokens" in TooLong(len, 2 * longest - 1)(CASES[0])
