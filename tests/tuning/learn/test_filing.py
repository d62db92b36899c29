"""From lines to triples: where they are filed, what they come from, and what is not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.learn.filing import Doubt, Filed, Unfiled, filed
from server.tuning.learn.lines import read_lines
from server.tuning.learn.passages import Passage
from server.tuning.learn.single import SingleValued

VOCABULARY = Vocabulary.built_in()
SINGLE = SingleValued.built_in(VOCABULARY)
LISBON = "We moved to Lisbon in May and my daughter is allergic to peanuts."
DOG = "Q: What does my dog eat? A: meat"


def facts_of(text: str, written: str, context: str = "") -> tuple[list[Filed], list[Unfiled]]:
    return filed(Passage(text, context), read_lines(written), VOCABULARY, SINGLE)


def doubts(text: str, written: str, context: str = "") -> list[Doubt]:
    facts, doubtful = facts_of(text, written, context)
    assert facts == []
    return [one.doubt for one in doubtful]


def test_facts_of_the_user_and_of_what_is_theirs_come_from_their_clauses() -> None:
    (lisbon, peanuts), doubtful = facts_of(
        LISBON, "+ We | moved to | Lisbon <sep> + my daughter | is allergic to | the peanuts"
    )
    assert doubtful == []
    assert lisbon.triple == Triple.of("I", "lives in", "Lisbon")
    assert (lisbon.owned, lisbon.source) == (False, "We moved to Lisbon in May")
    assert peanuts.triple == Triple.of("daughter", "is allergic to", "peanuts")
    assert (peanuts.owned, peanuts.source) == (True, "my daughter is allergic to peanuts.")
    assert peanuts.taught_by == peanuts.source


@pytest.mark.parametrize(
    ("subject", "head", "owned"),
    [
        ("I", "I", False),
        ("the user", "I", False),
        ("My Dog", "My Dog", False),
        ("My dog", "dog", True),
        ("our dog", "dog", True),
        ("Bea", "Bea", False),
    ],
)
def test_a_fact_is_filed_where_a_correction_files_it(subject: str, head: str, owned: bool) -> None:
    (fact,), _ = facts_of(f"{subject} eats fish.", f"+ {subject} | eats | fish")
    assert (fact.triple.head.text, fact.owned) == (head, owned)


def test_a_relation_has_the_vocabulary_s_name() -> None:
    (fact,), _ = facts_of("My dog likes fish.", "+ my dog | likes | fish")
    assert fact.triple.relation == "Desires"


def test_a_clause_that_names_nobody_is_found_by_the_question_that_it_answers() -> None:
    (fact,), _ = facts_of("only vegetables!", "+ my dog | eats | vegetables", DOG)
    assert (fact.source, fact.taught_by) == ("only vegetables!", "What does my dog eat?")
    (other,), _ = facts_of("My dog eats vegetables.", "+ my dog | eats | vegetables", DOG)
    assert other.taught_by == "My dog eats vegetables."
    (neither,), _ = facts_of("only vegetables", "+ my dog | eats | vegetables", "we fed my dog.")
    assert neither.taught_by == ""


def test_what_is_not_a_fact_is_told_with_its_place() -> None:
    assert doubts("Off to Lisbon!", "The user lives in Lisbon.") == [Doubt.FORM]
    assert doubts("She is nine.", "+ she | is aged | nine") == [Doubt.PRONOUN]
    assert doubts("I like !!", "+ I | likes | !!") == [Doubt.NAME]
    assert doubts("I 7 it", "+ I | 7 | 7") == [Doubt.NAME]
    assert doubts("The euro is new.", "+ the euro | is | new") == [Doubt.IMPERSONAL]
    _, (one,) = facts_of("Hello! Off to Lisbon with my sister!", "+ my sister | likes | jazz")
    assert one.line == "+ my sister | likes | jazz"
    assert one.source == "Off to Lisbon with my sister!"


def test_what_nobody_said_is_not_believed() -> None:
    assert doubts("Off to Lisbon!", "+ I | likes | jazz") == [Doubt.INVENTED]
    assert doubts("Off to Lisbon!", "+ my sister | moved to | Lisbon") == [Doubt.INVENTED]
    (taken_back,), _ = facts_of("I gave up singing.", "- I | sings | singing")
    assert not taken_back.learned


def test_instead_of_what_nobody_said_a_plain_clause_is_believed() -> None:
    said = "I learned my trade from old Mr Fossum."
    (fact,), doubtful = facts_of(said, "+ my teacher | is called | old Mr Fossum")
    assert fact.triple == Triple.of("I", "learned", "trade from old Mr Fossum")
    assert not doubtful


def test_what_is_denied_is_not_learned() -> None:
    assert doubts("Ann has never been to Oslo.", "+ Ann | has been to | Oslo") == [Doubt.DENIED]
    assert doubts("I don't like jazz.", "+ I | likes | jazz") == [Doubt.DENIED]
    (fact,), _ = facts_of("I don't like jazz.", "+ I | doesn't like | jazz")
    assert fact.triple.relation == "NotDesires"
    (other,), _ = facts_of("I'm not 36, I'm 37.", "+ I | is aged | 37")
    assert other.triple.tail.text == "37"
    (boss,), _ = facts_of("My boss is Petra, not Paula.", "+ my boss | is called | Petra")
    assert boss.triple.tail.text == "Petra"


def test_the_same_learned_and_taken_back_is_neither() -> None:
    written = "+ I | likes | jazz <sep> - I | likes | jazz"
    assert doubts("I like jazz.", written) == [Doubt.CONTRADICTORY, Doubt.CONTRADICTORY]


@given(st.text(), st.text() | st.text("+-| <sep>\nIimyabt"), st.text(max_size=20))
def test_whatever_is_said_and_written_is_filed_or_told(
    text: str, written: str, context: str
) -> None:
    lines = read_lines(written)
    facts, doubtful = filed(Passage(text, context), lines, VOCABULARY, SINGLE)
    assert len(facts) + len(doubtful) <= len(lines.read) + len(lines.unread)
    assert bool(facts or doubtful) == bool(lines.read or lines.unread)


def test_what_a_plain_clause_says_is_taken_where_the_line_has_other_words() -> None:
    (fact,), _ = facts_of("I'm a piano tuner.", "+ I | plays the instrument | piano")
    assert fact.triple == Triple.of("I", "is a", "piano tuner")
    (both,), _ = facts_of("Ann and Bob collaborated on a film.", "+ Ann | works with | Bob")
    assert both.triple == Triple.of("Ann and Bob", "collaborated on", "film")
    (degree,), _ = facts_of("Ann received a PhD from Oslo.", "+ Ann | received | Oslo")
    assert degree.triple == Triple.of("Ann", "received", "a PhD from Oslo")
    (named,), _ = facts_of("Ann Lee is fun.", "+ Ann Lee | works as | Ann Lee")
    assert named.triple == Triple.of("Ann Lee", "is", "fun")


def test_the_values_of_a_list_are_in_the_clauses_words() -> None:
    facts, _ = facts_of(
        "I speak Dutch and Czech.", "+ I | speaks | Dutch <sep> + I | speaks | Czech"
    )
    assert [fact.triple.tail.text for fact in facts] == ["Dutch", "Czech"]


def test_what_a_plain_clause_says_is_taken_where_the_line_cannot_be_read() -> None:
    (fact,), _ = facts_of("My boss is called Petra.", "+ my boss | is called Petra")
    assert (fact.triple, fact.owned) == (Triple.of("boss", "is called", "Petra"), True)
    (prose,), _ = facts_of("My boss is called Petra.", "The user's boss is called Petra.")
    assert prose.triple == fact.triple
    assert doubts("Petra runs the firm.", "Petra runs the firm.") == [Doubt.FORM]
    assert doubts("My boss is called Petra.", "- my boss | is called Petra") == [Doubt.FORM]
    assert doubts("Is my boss called Petra?", "+ my boss | is called Petra") == [Doubt.FORM]


def test_what_a_clause_says_of_the_user_is_filed_as_of_somebody() -> None:
    (fact,), _ = facts_of("I speak Czech.", "+ my tongue | Czech")
    assert fact.triple == Triple.of("I", "speaks", "Czech")
    (likes,), _ = facts_of("I like chess.", "+ I | chess")
    assert likes.triple.relation == "Desires"
    (grew,), _ = facts_of("I grew leeks.", "+ I | leeks")
    assert grew.triple.relation == "grew"


def test_a_usual_relation_may_be_put_in_any_words() -> None:
    (fact,), _ = facts_of("I'm a nurse.", "+ I | works as | nurse")
    assert fact.triple == Triple.of("I", "works as", "nurse")
