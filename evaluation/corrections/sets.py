"""The sets: how each is read into cases, and on which base graph they are asked.

To add a set, write a function that reads its file, and name it in `SETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation import everyday
from evaluation.corrections import bases
from evaluation.corrections.cases import HALVES, Background, Case, Correction, Question, Stage
from evaluation.corrections.expectations import (
    AsBefore,
    InView,
    MoreProbable,
    NotInView,
    NotOverwritten,
    Says,
    SaysNot,
)
from evaluation.corrections.others import with_other_subjects
from evaluation.corrections.reading import MalformedLine, Reading, Row, in_halves, read_lines
from training.sources import COUNTERFACT_ORIGIN, is_held_out

OWN = Path(__file__).parent.parent / "data"
"""The folder of the sets that were written for this project."""


@dataclass(frozen=True, slots=True)
class CaseSet:
    """How one set is read and asked."""

    name: str
    read: Callable[[Path], Reading]
    """Reads the set; the argument is the folder of the reference data."""
    together: int | None = 1
    """How many cases are one user's; None if all are."""
    complete: Callable[[Sequence[Case], int], Sequence[Case]] = lambda cases, _: cases
    """Adds questions for which the other cases of a half are needed. It is given the seed."""
    drawn: bool = True
    """Whether the cases are asked in an order that the seed draws, or in that of the file."""
    build_base: Callable[[Path], None] = bases.build_starter
    """Builds the base graph in a folder."""


def _corrections(data: Path, name: str, parse: Callable[[Row], Case | None]) -> Reading:
    origin = f"the README of the folder corrections names where {name} comes from"
    return in_halves(read_lines(data / "corrections" / f"{name}.jsonl", origin, parse))


# pokemqa: in other words, and the same question about somebody else


def read_pokemqa(data: Path) -> Reading:
    """Paraphrases follow, and another subject's question of the same relation does not."""
    asked: set[str] = set()

    def parse(row: Row) -> Case | None:
        case = _pokemqa(row)
        names = {case.corrections[0].query.casefold(), f"{case.topic} {case.subject}".casefold()}
        if names & asked:
            return None  # all cases are one user, who corrects each fact once
        asked.update(names)
        return case

    return _corrections(data, "pokemqa", parse)


def _pokemqa(row: Row) -> Case:
    query, answer = row.text("query"), row.text("answer")
    questions = [Question("followed", query, Says(answer))]
    questions += [Question("paraphrase", p, Says(answer)) for p in row.texts("paraphrases")]
    return Case(
        id=row.text("id"),
        subject=row.text("subject"),
        corrections=(Correction(query, answer),),
        questions=tuple(questions),
        topic=_relation(row),
    )


# letta: facts about the same few people, one of them corrected


def read_letta(data: Path) -> Reading:
    """Other facts about the people of a corrected one stay what they were."""
    return _corrections(data, "letta", _letta)


def _letta(row: Row) -> Case:
    query, answer, facts = row.text("query"), row.text("answer"), row.texts("facts")
    others = [pair for pair in row.pairs("unrelated") if pair[0] != query]
    taught = [*others, (query, row.text("answer_before"))]
    questions = [Question("followed", query, Says(answer))]
    for other, right in others:
        questions += [
            Question("other answers unchanged", other, AsBefore()),
            Question("other answers right before", other, Says(right), Stage.BEFORE),
            Question("other answers right after", other, Says(right)),
        ]
    return Case(
        id=row.text("id"),
        subject=" ".join(facts),
        corrections=(Correction(query, answer),),
        questions=tuple(questions),
        background=Background(corrections=tuple(Correction(q, a) for q, a in taught)),
    )


# learn: the cases of letta, said in sentences


def read_learn(data: Path) -> Reading:
    """Facts are told in sentences, and one of them is corrected in a sentence."""
    return _corrections(data, "letta", _learn)


def _learn(row: Row) -> Case:
    told = _letta(row)
    before = Question("right before", row.text("query"), Says(row.text("answer_before")))
    return replace(
        told,
        corrections=(),
        statements=(row.text("statement"),),
        questions=(*told.questions, replace(before, stage=Stage.BEFORE)),
        background=Background(sentences=row.texts("facts")),
    )


# knowedit: other relations of the same subject


def read_knowedit(data: Path) -> Reading:
    """Other relations of the corrected subject are answered as before."""
    return _corrections(data, "knowedit", _knowedit)


def _knowedit(row: Row) -> Case:
    query, answer = row.text("query"), row.text("answer")
    questions = [Question("followed", query, Says(answer))]
    questions += [Question("alias", alias, Says(answer)) for alias in row.texts("paraphrases")]
    for other, _ in row.pairs("unrelated"):
        questions += [
            Question("other relation not overwritten", other, NotOverwritten(answer)),
            Question("other relation as before", other, AsBefore()),
        ]
    subject = row.text("subject")
    return Case(row.text("id"), subject, (Correction(query, answer),), tuple(questions))


# twice: a second correction, and both undone


def read_twice(data: Path) -> Reading:
    """A second correction supersedes the first, and both can be undone."""
    return _corrections(data, "twice", _twice)


def _twice(row: Row) -> Case:
    query, cloze = row.text("query"), row.text("cloze")
    first, second = row.text("first"), row.text("second")
    questions = (
        Question("second, asked as the query", query, Says(second)),
        Question("second, asked as a cloze", cloze, Says(second)),
        Question("undone, the query as before", query, AsBefore(), Stage.UNDONE),
        Question("undone, the cloze as before", cloze, AsBefore(), Stage.UNDONE),
    )
    corrections = (Correction(query, first), Correction(query, second))
    return Case(row.text("id"), row.text("subject"), corrections, questions, topic=_relation(row))


# siblings: one of several values is corrected


def read_siblings(data: Path) -> Reading:
    """One of several values is corrected: that one goes, and the others stay."""
    return _corrections(data, "siblings", _siblings)


def _siblings(row: Row) -> Case:
    subject, relation, query = row.text("subject"), _relation(row), row.text("query")
    wrong, answer, kept = row.text("corrected"), row.text("answer"), row.texts("kept")
    questions = [
        Question("new one answered", query, Says(answer)),
        Question("corrected one gone from the answer", query, SaysNot(wrong)),
        Question("corrected one less probable than the new", query, MoreProbable(answer, wrong)),
        Question("corrected one gone from the view", subject, NotInView(wrong)),
    ]
    for value in kept:
        questions += [
            Question("sibling in the view", subject, InView(value)),
            Question("sibling more probable than the gone", query, MoreProbable(value, wrong)),
        ]
    return Case(
        id=row.text("id"),
        subject=subject,
        # The user was answered the wrong value; of several, only this tells which one is meant.
        corrections=(Correction(query, answer, answer_before=wrong),),
        questions=tuple(questions),
        background=Background(triples=tuple((subject, relation, v) for v in (*kept, wrong))),
        topic=relation,
    )


def _relation(row: Row) -> str:
    return row.text("relation")


# longmemeval: what one person said about everyday life


def read_longmemeval(data: Path) -> Reading:
    """A question about something like a personal fact does not get the personal answer."""
    return _corrections(data, "longmemeval", _longmemeval)


def _longmemeval(row: Row) -> Case | None:
    query, answer, twin = row.text("query"), row.text_or_none("answer"), row.text_or_none("twin")
    if answer is None:
        return None
    questions = [Question("fact", query, Says(answer))]
    if twin is not None:
        questions.append(Question("twin not given the fact", twin, SaysNot(answer)))
    name = row.text("id")
    return Case(name, name, (Correction(query, answer),), tuple(questions))


# everyday and firstperson: written for this project


def read_everyday(_: Path) -> Reading:
    """Everyday corrections, in other words too. All of them are of the development half."""
    return Reading(tuple(map(_everyday, everyday.read_cases())))


def _everyday(case: everyday.EverydayCase) -> Case:
    questions = (
        Question("followed", case.query, Says(case.answer)),
        *(Question("paraphrase", p, Says(case.answer)) for p in case.paraphrases),
        Question("unrelated as before", case.unrelated, AsBefore()),
    )
    correction = Correction(case.query, case.answer)
    return Case(str(case.id), case.subject, (correction,), questions, topic=case.topic)


def read_firstperson(_: Path, folder: Path = OWN) -> Reading:
    """What people say about themselves. The file names each case's half."""
    return read_lines(folder / "firstperson.jsonl", "this repository", _firstperson)


def _firstperson(row: Row) -> Case:
    query, answer, half = row.text("query"), row.text("answer"), row.text("half")
    if half not in HALVES:
        raise MalformedLine(f"half is none of {', '.join(HALVES)}")
    questions = [Question("followed", query, Says(answer))]
    questions += [Question("paraphrase", p, Says(answer)) for p in row.texts("paraphrases")]
    questions += [Question("near miss as before", n, AsBefore()) for n in row.texts("near_misses")]
    name = row.text("id")
    return Case(
        name,
        name,
        (Correction(query, answer),),
        tuple(questions),
        topic=row.text("topic"),
        half=half,
    )


# told: what people say about themselves, said in a sentence


def read_told(_: Path, folder: Path = OWN) -> Reading:
    """The facts of firstperson, told as a person says them instead of corrected."""
    return read_lines(folder / "firstperson.jsonl", "this repository", _told)


def _told(row: Row) -> Case:
    return replace(_firstperson(row), corrections=(), statements=(row.text("statement"),))


# counterfact: only subjects that the adapter was not trained on


def read_counterfact(data: Path) -> Reading:
    """CounterFact in its public form or the model editors'."""
    return in_halves(read_lines(data / "counterfact.jsonl", COUNTERFACT_ORIGIN, _counterfact))


def _counterfact(row: Row) -> Case | None:
    if "requested_rewrite" in row:
        rewrite = row.row("requested_rewrite")
        subject = rewrite.text("subject")
        query = rewrite.text("prompt").replace("{}", subject)
        new, true = rewrite.row("target_new").text("str"), rewrite.row("target_true").text("str")
        paraphrases = row.texts("paraphrase_prompts")
        neighbors = row.texts("neighborhood_prompts")[:1]
    else:
        subject, query = row.text("subject"), row.text("prompt")
        new, true = row.text("target_new"), row.text("ground_truth")
        paraphrases = (row.text("rephrase_prompt"),)
        neighbors = (row.text("locality_prompt"),)
    paraphrases = tuple(p for p in paraphrases if subject in p)
    if not paraphrases or not is_held_out(subject):
        return None
    questions = [Question("followed", query, Says(new))]
    for paraphrase in paraphrases:
        questions += [
            Question("paraphrase by probability", paraphrase, MoreProbable(new, true)),
            Question("paraphrase by generation", paraphrase, Says(new)),
        ]
    questions += [Question("neighbor as before", n, AsBefore()) for n in neighbors]
    return Case(row.text("case_id"), subject, (Correction(query, new),), tuple(questions))


SETS: Mapping[str, CaseSet] = {
    one.name: one
    for one in (
        CaseSet("pokemqa", read_pokemqa, together=None, complete=with_other_subjects),
        CaseSet("letta", read_letta),
        CaseSet("learn", read_learn),
        CaseSet("knowedit", read_knowedit),
        CaseSet("twice", read_twice),
        CaseSet("siblings", read_siblings),
        CaseSet("longmemeval", read_longmemeval, together=None),
        CaseSet("everyday", read_everyday, drawn=False, build_base=bases.build_everyday),
        CaseSet("firstperson", read_firstperson, together=24, drawn=False),
        CaseSet("told", read_told, together=24, drawn=False),
        CaseSet("counterfact", read_counterfact),
    )
}
