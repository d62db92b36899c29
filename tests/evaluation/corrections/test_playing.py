"""How the cases of a user are played, counted and selected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.corrections import counting
from evaluation.corrections.bases import build_everyday, build_starter
from evaluation.corrections.cases import DEVELOPMENT, UNSEEN, Case, Correction, Question, Stage
from evaluation.corrections.expectations import (
    AsBefore,
    InView,
    MoreProbable,
    NotInView,
    NotOverwritten,
    Reply,
    Says,
    SaysNot,
)
from evaluation.corrections.measuring import document, measure
from evaluation.corrections.others import with_other_subjects
from evaluation.corrections.reading import Reading
from evaluation.corrections.selection import Selection, by_user, chosen
from evaluation.corrections.sets import SETS
from server.errors import StartupError
from server.graph.relation import Vocabulary
from server.stores.sqlite.base import relation_names
from server.stores.sqlite.store import SqliteStore
from testbed.processes import free_port
from tests.evaluation.corrections.asking import play

ENJOY, WHERE, NOTHING = "What does my dog enjoy?", "Where is my dog?", "?"
PHRASES = {ENJOY: "likes", WHERE: "is located in"}


def case(name: str, *questions: Question, answer: str = "vegetables", query: str = ENJOY) -> Case:
    return Case(name, name, (Correction(query, answer),), questions, topic="r")


async def test_what_several_questions_ask_is_asked_once_in_a_stage(tmp_path: Path) -> None:
    asked = case(
        "1",
        Question("a", ENJOY, Says("vegetables")),
        Question("b", ENJOY, MoreProbable("vegetables", "meat")),
        Question("c", ENJOY, MoreProbable("meat", "bones")),
        Question("d", ENJOY, Says("meat"), Stage.BEFORE),
    )
    result = await play(tmp_path, [[asked]], PHRASES)
    assert [c.method for c in result.measured.calls] == [
        "answer",
        "personalize",
        "answer",
        "erase_user",
    ]
    assert result.kinds == {"a": (1, 1), "b": (1, 1), "c": (0, 1), "d": (1, 1)}


async def test_a_user_s_cases_are_all_corrected_before_any_is_asked(tmp_path: Path) -> None:
    first = case("1", Question("a", ENJOY, Says("fish")))
    second = case("2", Question("a", ENJOY, Says("fish")), answer="fish")
    together = await play(tmp_path, [[first, second]], PHRASES)
    assert together.kinds == {"a": (2, 2)}
    apart = await play(tmp_path, [[first], [second]], PHRASES)
    assert apart.kinds == {"a": (1, 2)}


async def test_nothing_is_left_of_the_users(tmp_path: Path) -> None:
    await play(tmp_path, [[case("1", Question("a", ENJOY, Says("vegetables")))]], PHRASES)
    store = SqliteStore(tmp_path / "store", Vocabulary.built_in())
    try:
        assert (await store.counts()).users == 0
    finally:
        await store.close()


async def test_a_refused_call_is_counted_and_listed(tmp_path: Path) -> None:
    refused = case(
        "1",
        Question("a", ENJOY, Says("vegetables")),
        Question("b", NOTHING, SaysNot("vegetables")),
        Question("b", NOTHING, AsBefore()),
        query=NOTHING,
    )
    result = await play(tmp_path, [[refused]], PHRASES)
    measured = result.measured
    assert result.kinds == {"a": (0, 1), "b": (2, 2)}
    assert counting.tallies(measured.results)["b"].refused == 0
    assert counting.refusals(measured.calls) == {
        "personalize SUBJECT_NOT_FOUND": 1,
    }
    assert counting.costs(measured.calls)["personalize"]["p50_ms"] is None
    listed = "\n".join(counting.misses(measured.results, measured.calls))
    assert (
        "1: a: 'What does my dog enjoy?', expected Says(answer='vegetables'), got 'meat'" in listed
    )
    assert "refused: personalize '?': SUBJECT_NOT_FOUND" in listed
    assert "personalize" in counting.table(measured.results, measured.calls)


async def test_the_document_and_the_records_are_json(tmp_path: Path) -> None:
    asked = case(
        "1", Question("a", ENJOY, Says("vegetables")), Question("b", "dog", InView("meat"))
    )
    measured = (await play(tmp_path, [[asked]], PHRASES)).measured
    made = document(SETS["knowedit"], Selection(DEVELOPMENT), Reading((asked,), ("x",)), measured)
    assert json.loads(json.dumps(made)) == made
    assert (made["set"], made["half"], made["cases"], made["malformed"]) == (
        "knowedit",
        DEVELOPMENT,
        1,
        1,
    )
    assert made["questions"]["a"] == {"asked": 1, "won": 1, "refused": 0, "percent": 100.0}
    assert made["corrections"]["converged"] == made["corrections"]["added"] == 1
    assert made["calls"]["answer"]["forward_passes"] > 0
    assert made["fingerprints"]["model"] == "fixed"
    record = json.loads(counting.record(measured.results[0]))
    assert record["corrections"][0]["correction"]["answer"] == "vegetables"
    assert [(q["kind"], q["won"], q["reply"]) for q in record["questions"]] == [
        ("a", True, "vegetables"),
        ("b", False, ["kennel", "vegetables"]),
    ]


async def test_a_server_that_is_not_there_ends_the_run() -> None:
    with pytest.raises(StartupError, match="the server cannot be asked"):
        await measure("x", [[case("1")]], f"127.0.0.1:{free_port()}")


MET = [
    (Says("a cat"), Reply("cat"), Reply(), True),
    (SaysNot("cat"), Reply("a cat, because it purrs"), Reply(), False),
    (AsBefore(), Reply(""), Reply(""), True),
    (AsBefore(), Reply("the cat"), Reply("cat"), True),
    (AsBefore(), Reply("dog"), Reply("cat"), False),
    (NotOverwritten("cat"), Reply("cat"), Reply("dog"), False),
    (NotOverwritten("cat"), Reply("cat"), Reply("cat"), True),
    (NotOverwritten("cat"), Reply("cow"), Reply("dog"), True),
    (MoreProbable("a", "b"), Reply(logprobs={"a": -1, "b": -2}), Reply(), True),
    (MoreProbable("a", "b"), Reply(logprobs={"a": -2, "b": -2}), Reply(), False),
    (InView("Hot Dogs"), Reply(tails=frozenset({"hot dogs"})), Reply(), True),
    (NotInView("Hot Dogs"), Reply(tails=frozenset({"hot dogs"})), Reply(), False),
]


@pytest.mark.parametrize(("expectation", "now", "before", "met"), MET)
def test_what_is_expected(
    expectation: Says | AsBefore, now: Reply, before: Reply, met: bool
) -> None:
    assert expectation.is_met(now, before) is met


# Selecting


CASES = tuple(
    Case(str(n), f"dog {n}", (Correction(f"query {n}", "x"),), (), topic=f"r{n % 2}")
    for n in range(200)
)


def names(cases: list[Case]) -> list[str]:
    return [c.id for c in cases]


def test_the_seed_draws_the_order_and_the_slice_moves_through_it() -> None:
    def drawn(**selected: int) -> list[str]:
        selection = Selection(DEVELOPMENT, **selected)
        return names(chosen(SETS["knowedit"], Reading(CASES), selection))

    assert drawn() != [c.id for c in CASES]
    assert sorted(drawn()) == sorted(c.id for c in CASES)
    assert drawn(seed=1) != drawn()
    assert drawn(first=5, cases=3) == drawn()[5:8]


def test_the_project_s_own_sets_are_asked_in_the_order_of_their_files() -> None:
    of = SETS["firstperson"]
    cases = chosen(of, Reading(CASES), Selection(DEVELOPMENT, cases=30))
    assert names(cases) == [c.id for c in CASES[:30]]
    assert [len(group) for group in by_user(of, cases)] == [24, 6]


def test_an_empty_half_is_an_error() -> None:
    with pytest.raises(StartupError, match="the unseen half of everyday has no case"):
        chosen(SETS["everyday"], Reading(CASES), Selection(UNSEEN))


def test_other_subjects_are_never_corrected_however_many_cases_are_asked() -> None:
    corrected = with_other_subjects(CASES, seed=3)
    kept = {c.corrections[0].query for c in corrected}
    asked = {c.questions[0].query for c in corrected}
    assert 150 < len(corrected) < 200
    assert not kept & asked
    topic = {c.corrections[0].query: c.topic for c in CASES}
    assert all(topic[c.questions[0].query] == c.topic for c in corrected)
    assert with_other_subjects(CASES, seed=4) != corrected


# Base graphs


def test_the_starter_graph_is_asked_without_being_told_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGT_STORE", "neo4j://127.0.0.1:1")
    build_starter(tmp_path)
    assert set(relation_names(tmp_path)) >= {"Desires", "AtLocation"}
    assert capsys.readouterr().out == "", "the output is for the figures"


def test_the_everyday_cases_have_their_own_graph(tmp_path: Path) -> None:
    build_everyday(tmp_path)
    assert set(relation_names(tmp_path)) >= {"Desires", "AtLocation"}
