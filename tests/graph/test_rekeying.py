from dataclasses import replace

import pytest
from hypothesis import given

from server.graph.concept import KEYS_VERSION, Concept, concept_key, legacy_key, legacy_spellings
from server.graph.edit import Edit, Overlay
from server.graph.rekeying import Rekeying
from server.graph.triple import Triple
from tests.graph.old_keys import logs, old, old_log

CURLY, STRAIGHT = old("O\u2019Hara", "likes", "rhubarb"), old("O'Hara", "likes", "rhubarb")


def today(edit: Edit) -> Edit:
    return replace(edit, changes=tuple(replace(c, triple=_today(c.triple)) for c in edit.changes))


def _today(triple: Triple) -> Triple:
    return Triple.of(triple.head.text, triple.relation, triple.tail.text)


def rekeyed(log: list[Edit]) -> list[Edit]:
    rekeying = Rekeying()
    done = []
    for edit in log:
        assert rekeying.fits(edit, today(edit))
        done.append(rekeying.rekeyed(edit, today(edit)))
    return done


def replay(log: list[Edit]) -> Overlay:
    overlay = Overlay()
    for edit in log:
        assert all(overlay.marks.get(change.triple) == change.before for change in edit.changes)
        assert len({change.triple for change in edit.changes}) == len(edit.changes)
        assert not any(change.before == change.after for change in edit.changes)
        overlay = overlay.with_edit(edit)
    return overlay


@given(logs)
def test_a_log_is_followed_and_ends_with_what_any_spelling_had(log: list[Edit]) -> None:
    before = Overlay()
    for edit in log:
        before = before.with_edit(edit)
    after = rekeyed(log)
    assert [(e.id, e.revision) for e in after] == [(e.id, e.revision) for e in log]
    assert set(replay(after).marks) == {_today(triple) for triple in before.marks}


def test_a_fact_stays_until_its_last_spelling_is_taken_back() -> None:
    log = rekeyed(
        old_log([[(CURLY, True)], [(STRAIGHT, True)], [(CURLY, False)], [(STRAIGHT, False)]])
    )
    assert [len(edit.changes) for edit in log] == [1, 1, 0, 1]
    assert len(replay(log[:3]).marks) == 1
    assert not replay(log).marks


def test_the_newest_spelling_is_the_one_that_is_shown() -> None:
    log = rekeyed(old_log([[(CURLY, True)], [(STRAIGHT, True)], [(STRAIGHT, False)]]))
    assert [next(iter(replay(log[:n]).marks)).head.text for n in (1, 2, 3)] == [
        "O\u2019Hara",
        "O'Hara",
        "O\u2019Hara",
    ]


def test_two_spellings_in_one_edit_are_one_change() -> None:
    (edit,) = rekeyed(old_log([[(CURLY, True), (STRAIGHT, True)]]))
    assert [change.triple.head.text for change in edit.changes] == ["O'Hara"]


def test_a_change_that_does_not_start_where_its_spelling_was_does_not_fit() -> None:
    (edit,) = old_log([[(CURLY, True)]])
    (change,) = edit.changes
    moved = replace(edit, changes=(replace(change, before=change.after, after=None),))
    doubled = replace(edit, changes=(change, change))
    assert not Rekeying().fits(moved, today(moved))
    assert not Rekeying().fits(doubled, today(doubled))


@pytest.mark.parametrize(
    "text",
    [
        "O\u2019Hara",
        "O\u2018Hara",
        "rock \u2019n\u2019 roll",
        "\u201cit\u201d",
        "well\u2010being",
        "\u22125",
        "\u2764\ufe0f",
    ],
)
def test_the_key_of_then_is_among_the_spellings(text: str) -> None:
    assert legacy_key(text) != concept_key(text)
    assert legacy_key(text) in legacy_spellings(concept_key(text))


def test_a_plain_key_has_no_other_spelling() -> None:
    assert legacy_spellings("hot dog") == ()
    assert legacy_spellings("") == ()
    assert Concept.of("hot dog").key == legacy_key("hot dog")
    assert KEYS_VERSION == 2
