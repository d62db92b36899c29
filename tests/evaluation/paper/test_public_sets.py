from __future__ import annotations

from evaluation.corrections.cases import Background, Case, Correction, Question, Stage
from evaluation.corrections.expectations import (
    AsBefore,
    InView,
    MoreProbable,
    NotOverwritten,
    Says,
    SaysNot,
)
from evaluation.methods.method import TargetLogprob
from evaluation.paper.choosing import TooLong
from evaluation.paper.public_sets import SetItem, background_rows, choose_items
from evaluation.paper.scoring import Asking, scored
from server.errors import TextTooLong

ANY = TooLong(len, 1_000)


class Answers:
    """A system of known answers. What it answers is likely, and all else is not."""

    def __init__(self, **answers: str) -> None:
        self._answers = answers

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        said = self.generate(prompt) == target
        return TargetLogprob((-0.1 if said else -3.0,), (said,))

    def generate(self, prompt: str) -> str:
        if prompt == "too long":
            raise TextTooLong("query", 9, 8)
        return self._answers.get(prompt, "nothing")


def case(*questions: Question, query: str = "pet", taught: tuple[Correction, ...] = ()) -> Case:
    corrections = (Correction(query, "cat"), Correction(query, "dog"))
    return Case("1", "pet", corrections, questions, Background(corrections=taught))


def asking(now: Answers, before: Answers, *items: SetItem) -> Asking:
    return Asking.of(now, before, items)


def test_all_corrections_are_edits_in_their_order() -> None:
    item = SetItem(case(taught=(Correction("home", "Oslo"),)))
    edits = [(e.prompt, e.target_new, e.subject) for e in item.edits]
    assert edits == [("home", "Oslo", ""), ("pet", "cat", "pet"), ("pet", "dog", "pet")]


def test_questions_are_won_by_their_kind() -> None:
    item = SetItem(
        case(
            Question("followed", "pet", Says("dog")),
            Question("paraphrase", "animal", Says("dog")),
            Question("paraphrase", "beast", Says("dog")),
            Question("twin", "car", SaysNot("dog")),
            Question("likelier", "pet", MoreProbable("dog", "cat")),
            Question("kept", "job", AsBefore()),
            Question("not overwritten", "boat", NotOverwritten("dog")),
        )
    )
    now = Answers(pet="dog", animal="dog", car="dog", job="nurse", boat="dog")
    before = Answers(job="clerk", boat="dog")
    record = scored(item, asking(now, before, item))
    assert record.metrics == {
        "followed": 1.0,
        "paraphrase": 0.5,
        "twin": 0.0,
        "likelier": 1.0,
        "kept": 0.0,
        "not overwritten": 1.0,
    }
    assert record.answer == "dog"


def test_what_no_interface_has_is_not_asked() -> None:
    questions = (
        Question("view", "pet", InView("dog")),
        Question("undone", "pet", Says("cat"), Stage.UNDONE),
        Question("before", "pet", Says("cat"), Stage.BEFORE),
        Question("kept", "job", AsBefore()),
    )
    assert [q.kind for q in SetItem(case(*questions)).questions] == ["kept"]
    taught = SetItem(case(*questions, taught=(Correction("job", "nurse"),)))
    assert taught.questions == [], "as before the case, the job was not taught"


def test_a_query_that_another_case_corrects_need_not_be_answered_as_before() -> None:
    item = SetItem(case(Question("kept", "job", AsBefore())))
    other = SetItem(case(query="job"))
    now, before = Answers(job="dog"), Answers(job="clerk")
    alone = scored(item, asking(now, before, item))
    together = scored(item, asking(now, before, item, other))
    assert (alone.metrics, together.metrics) == ({"kept": 0.0}, {})


def test_a_case_that_cannot_be_asked_is_lost_and_says_why() -> None:
    item = SetItem(case(Question("followed", "too long", Says("dog"))))
    record = scored(item, asking(Answers(), Answers(), item))
    assert (record.metrics, record.refused) == ({"followed": 0.0}, "TextTooLong")


def test_no_query_is_corrected_for_two_cases() -> None:
    cases = [case(Question("followed", "pet", Says("dog"))) for _ in range(3)]
    items, left_out = choose_items("twice", cases, "held-out", 0, 9, ANY)
    assert (len(items), [one.kind for one in left_out]) == (1, ["SamePrompt"] * 2)
    assert choose_items("twice", cases, "unseen", 0, 9, ANY) == ([], [])


def test_a_case_that_the_model_cannot_hold_is_listed() -> None:
    one = case(Question("followed", "pet", Says("dog")), query="What is my pet called at home?")
    items, left_out = choose_items("twice", [one], "held-out", 0, 9, TooLong(len, 30))
    assert not items
    assert [one.kind for one in left_out] == ["TooLong"]


def test_triples_of_the_background_are_for_the_base_graph() -> None:
    one = Case("1", "Ann", (), (), Background(triples=(("Ann", "speaks", "Urdu"),)))
    assert list(background_rows([one])) == [("Ann", "speaks", "Urdu", 1.0)]
