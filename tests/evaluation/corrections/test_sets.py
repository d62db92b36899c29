"""Each set: how its lines become cases, and what a service with known answers wins of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evaluation.corrections.cases import DEVELOPMENT, UNSEEN, Case
from evaluation.corrections.sets import SETS, read_firstperson
from tests.evaluation.corrections.asking import won, write
from training.sources import is_held_out

ENJOY, FEED, WHERE = "What does my dog enjoy?", "What do I feed my dog?", "Where is my dog?"
CAT, WHALE = "What does my cat enjoy?", "What did the whale say?"
PHRASES = {
    ENJOY: "likes",
    FEED: "likes",
    WHERE: "is located in",
    CAT: "likes",
    WHALE: "can",
    "My dog's kennel is": "is located in",
}


def row(**fields: Any) -> Mapping[str, Any]:
    return {"id": 1, "subject": "dog", "query": ENJOY, "answer": "vegetables", **fields}


def spared(seed: int = 0) -> str:
    """A subject that pokemqa's cases only ask about."""
    return next(
        name
        for n in range(100)
        if is_held_out(f"never corrected {seed}: {(name := f'cat {n}')}", 0.1)
    )


async def test_pokemqa_asks_in_other_words_and_about_a_subject_that_nobody_corrects(
    tmp_path: Path,
) -> None:
    other = f"What does {spared()} enjoy?"
    rows = [
        row(relation="P1", paraphrases=[FEED, WHALE]),
        row(relation="P1", id=2, query=ENJOY.upper(), paraphrases=[]),
        row(relation="P1", id=3, subject=spared(), query=other, paraphrases=[]),
        row(relation="P2", id=4, query=WHERE, answer="sofa", paraphrases=[]),
    ]
    reading = SETS["pokemqa"].read(write(tmp_path, "pokemqa", rows))
    assert reading.left_out == 1, "the same query twice would be corrected twice"
    result = await won(tmp_path, "pokemqa", reading, {**PHRASES, other: "likes"})
    assert result.kinds == {
        "followed": (2, 2),
        "paraphrase": (1, 2),
        "other subject as before": (1, 1),
    }
    assert result.measured.users == 1


async def test_letta_corrects_one_of_the_facts_that_were_taught(tmp_path: Path) -> None:
    case = row(
        answer_before="bones",
        facts=["My dog enjoys bones.", "My dog is in the garden."],
        unrelated=[{"query": WHERE, "answer": "garden"}, {"query": CAT, "answer": "mice"}],
    )
    reading = SETS["letta"].read(write(tmp_path, "letta", [case]))
    result = await won(tmp_path, "letta", reading, PHRASES)
    assert result.kinds == {
        "followed": (1, 1),
        "other answers unchanged": (2, 2),
        "other answers right before": (2, 2),
        "other answers right after": (2, 2),
    }
    asked = [call.asked for call in result.measured.calls if call.method == "personalize"]
    assert asked == [WHERE, CAT, ENJOY, ENJOY], "taught first, corrected last"


async def test_learn_says_the_facts_and_the_correction_in_sentences(tmp_path: Path) -> None:
    case = row(
        query=WHERE,
        answer="kitchens",
        answer_before="gardens",
        facts=["My dog likes bones.", "My dog is located in gardens."],
        statement="My dog is located in kitchens.",
        unrelated=[{"query": ENJOY, "answer": "bones"}],
    )
    reading = SETS["learn"].read(write(tmp_path, "letta", [case]))
    phrases = {**PHRASES, "My dog likes": "likes", "My dog is located in": "is located in"}
    result = await won(tmp_path, "learn", reading, phrases)
    assert result.kinds["right before"] == result.kinds["followed"] == (1, 1)
    assert result.kinds["other answers unchanged"] == (1, 1)
    calls = result.measured.calls
    assert [call.asked for call in calls if call.method == "learn"] == [
        *case["facts"],
        case["statement"],
    ]
    assert "personalize" not in {call.method for call in calls}
    (said,) = result.measured.results[0].personalized
    assert (said.stop_reason, said.added, said.converged) == ("FATE_LEARNED", 1, True)


async def test_knowedit_asks_under_aliases_and_for_other_relations(tmp_path: Path) -> None:
    case = row(
        paraphrases=["What does my hound enjoy?"],
        unrelated=[{"query": WHERE, "answer": "kennel"}, {"query": FEED, "answer": "meat"}],
    )
    reading = SETS["knowedit"].read(write(tmp_path, "knowedit", [case]))
    result = await won(tmp_path, "knowedit", reading, PHRASES)
    assert result.kinds == {
        "followed": (1, 1),
        "alias": (0, 1),
        "other relation not overwritten": (1, 2),
        "other relation as before": (1, 2),
    }


async def test_twice_undoes_both_corrections(tmp_path: Path) -> None:
    case = row(relation="r", cloze=FEED, first="bones", second="vegetables")
    reading = SETS["twice"].read(write(tmp_path, "twice", [case]))
    result = await won(tmp_path, "twice", reading, PHRASES)
    assert result.kinds == {
        "second, asked as the query": (1, 1),
        "second, asked as a cloze": (1, 1),
        "undone, the query as before": (1, 1),
        "undone, the cloze as before": (1, 1),
    }
    (played,) = result.measured.results
    assert [one.now.text for one in played.asked] == ["vegetables"] * 2 + ["meat"] * 2
    assert [c.method for c in result.measured.calls].count("revert_edit") == 2


async def test_siblings_looks_at_the_answer_the_probabilities_and_the_view(tmp_path: Path) -> None:
    query = "What is the genre of Luna?"
    case = row(
        subject="Luna",
        relation="genre",
        query=query,
        answer="jazz",
        corrected="rock",
        kept=["folk"],
    )
    reading = SETS["siblings"].read(write(tmp_path, "siblings", [case]))
    result = await won(tmp_path, "siblings", reading, {query: "genre"})
    assert result.kinds == {
        "new one answered": (1, 1),
        "corrected one gone from the answer": (1, 1),
        "corrected one less probable than the new": (1, 1),
        "corrected one gone from the view": (1, 1),
        "sibling in the view": (1, 1),
        "sibling more probable than the gone": (1, 1),
    }


async def test_longmemeval_teaches_one_user_everything_and_asks_for_twins(tmp_path: Path) -> None:
    rows = [
        row(id="a", twin=CAT),
        row(id="b", query=WHERE, answer="sofa", twin=None),
        row(id="c", query=WHALE, answer=None, twin=None),
        row(id="d", query="What does my goat enjoy?", answer="fish", twin=CAT),
    ]
    reading = SETS["longmemeval"].read(write(tmp_path, "longmemeval", rows))
    assert reading.left_out == 1
    result = await won(
        tmp_path, "longmemeval", reading, {**PHRASES, "What does my goat enjoy?": "likes"}
    )
    assert result.kinds == {"fact": (3, 3), "twin not given the fact": (1, 2)}
    assert result.measured.users == 1


def test_the_everyday_cases_are_the_repository_s_own(tmp_path: Path) -> None:
    of = SETS["everyday"]
    cases = of.read(tmp_path).cases
    assert len(cases) == 150
    assert {case.half for case in cases} == {DEVELOPMENT}
    assert [q.kind for q in cases[0].questions] == [
        "followed",
        "paraphrase",
        "paraphrase",
        "unrelated as before",
    ]


async def test_firstperson_gives_a_user_many_facts(tmp_path: Path) -> None:
    rows = [
        first_person("a", ENJOY, "vegetables", [FEED], [WHERE]),
        first_person("b", CAT, "mice", [], [WHALE]),
        first_person("c", WHALE, "hum", [], [], half=UNSEEN),
        first_person("d", WHALE, "hum", [], [], half="third"),
    ]
    (tmp_path / "firstperson.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reading = read_firstperson(tmp_path, tmp_path)
    assert [case.half for case in reading.cases] == [DEVELOPMENT, DEVELOPMENT, UNSEEN]
    assert reading.malformed == ("firstperson.jsonl:4: half is none of development, unseen",)
    result = await won(tmp_path, "firstperson", reading, PHRASES, cases=2)
    assert result.kinds == {
        "followed": (2, 2),
        "paraphrase": (1, 1),
        "near miss as before": (2, 2),
    }
    assert result.measured.users == 1


def first_person(
    name: str, query: str, answer: str, same: list[str], other: list[str], half: str = DEVELOPMENT
) -> dict[str, Any]:
    return {
        "id": name,
        "topic": "pets",
        "half": half,
        "query": query,
        "answer": answer,
        "statement": "I said so.",
        "paraphrases": same,
        "near_misses": other,
    }


def held_out_subject() -> str:
    return next(name for n in range(100) if is_held_out(name := f"dog {n}"))


@pytest.mark.parametrize("public", [False, True])
async def test_counterfact_asks_by_probability_and_by_generation(
    tmp_path: Path, public: bool
) -> None:
    subject = held_out_subject()
    query, same, near = f"What does {subject} enjoy?", f"The food of {subject} is", CAT
    editors: dict[str, Any] = {
        "case_id": 1,
        "subject": subject,
        "prompt": query,
        "target_new": "vegetables",
        "ground_truth": "meat",
        "rephrase_prompt": same,
        "locality_prompt": near,
    }
    original: dict[str, Any] = {
        "case_id": 1,
        "requested_rewrite": {
            "subject": subject,
            "prompt": "What does {} enjoy?",
            "target_new": {"str": "vegetables"},
            "target_true": {"str": "meat"},
        },
        "paraphrase_prompts": [same, "Something else"],
        "neighborhood_prompts": [near],
    }
    others = {**editors, "subject": "x", "prompt": "x", "rephrase_prompt": "x"}
    text = json.dumps([original]) if public else f"{json.dumps(editors)}\n{json.dumps(others)}\n"
    (tmp_path / "counterfact.jsonl").write_text(text)
    reading = SETS["counterfact"].read(tmp_path)
    assert reading.left_out == (not public), "the adapter was trained on the other subject"
    result = await won(
        tmp_path, "counterfact", reading, {query: "likes", same: "likes", CAT: "likes"}
    )
    assert result.kinds == {
        "followed": (1, 1),
        "paraphrase by probability": (1, 1),
        "paraphrase by generation": (1, 1),
        "neighbor as before": (1, 1),
    }


@pytest.mark.parametrize(
    "name", ["pokemqa", "letta", "knowedit", "twice", "siblings", "longmemeval"]
)
def test_a_line_without_its_fields_is_malformed(name: str, tmp_path: Path) -> None:
    lines = ["{", "[]", "{}", '{"id": 1, "query": "", "answer": "x"}', ""]
    reading = SETS[name].read(write(tmp_path, name, lines))
    assert reading.cases == ()
    assert len(reading.malformed) == 4
    assert reading.malformed[:2] == (
        f"{name}.jsonl:1: not JSON",
        f"{name}.jsonl:2: not a JSON object",
    )


def test_a_subject_is_always_in_the_same_half(tmp_path: Path) -> None:
    def cases() -> list[Case]:
        rows = [
            row(id=n, subject=f"dog {n // 2}", paraphrases=[], unrelated=[]) for n in range(400)
        ]
        return list(SETS["knowedit"].read(write(tmp_path, "knowedit", rows)).cases)

    halves = [case.half for case in cases()]
    assert halves == [case.half for case in cases()]
    assert halves[::2] == halves[1::2]
    assert 150 < halves.count(UNSEEN) < 250
