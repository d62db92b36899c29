"""Reads CounterFact, in both of its public forms, and what it lists as unusable.

The nested form is ROME's own (`requested_rewrite`, `paraphrase_prompts`, `neighborhood_prompts`).
The flat one is that of model-editing toolkits: one paraphrase and one neighbor each.
CounterFactExtension has the nested form, with the paraphrase among its `generation_prompts`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.corrections.reading import MalformedLine, Row, json_lines
from evaluation.methods.method import EditCase, Probe
from server.errors import StartupError
from training.sources import present


class EmptyDataset(StartupError):
    """A file has no case that can be used."""


class SubjectNotInPrompt(MalformedLine):
    """A case's subject is not in one of its prompts."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A case that takes no part, where it is, and why."""

    place: str
    """The file and the line, or the case's id."""
    kind: str
    """What is wrong, such as "MalformedLine": cases are counted by it."""
    why: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """The cases of a file, and those that it has besides and that cannot be used."""

    name: str
    cases: tuple[EditCase, ...]
    left_out: tuple[LeftOut, ...]
    digest: str
    """A hash of the file."""

    def counts(self) -> Counter[str]:
        """How many cases are left out, by kind."""
        return Counter(one.kind for one in self.left_out)


def read_dataset(name: str, path: Path, origin: str) -> Dataset:
    """Read a file in either form, as JSON lines or one array.

    Raises DataMissing, which names `origin`, and EmptyDataset.
    """
    cases: list[EditCase] = []
    left_out: list[LeftOut] = []
    for number, line in enumerate(_lines(present(path, origin)), 1):
        if not line.strip():
            continue
        try:
            cases.append(parse_case(Row.parse(line)))
        except MalformedLine as problem:
            place = f"{path.name}:{number}"
            left_out.append(LeftOut(place, type(problem).__name__, str(problem)))
    if not cases:
        raise EmptyDataset(
            f"{path} has no case that can be used ({len(left_out)} malformed); the public original:"
            f" {origin}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Dataset(name, tuple(cases), tuple(left_out), digest)


def _lines(path: Path) -> Sequence[str]:
    try:
        return json_lines(path)
    except ValueError as error:
        raise EmptyDataset(f"{path} is not JSON: {error}") from error


def parse_case(row: Row) -> EditCase:
    """The case of one line. Raises MalformedLine, and SubjectNotInPrompt."""
    case = _nested(row) if "requested_rewrite" in row else _flat(row)
    for prompt in (case.prompt, *case.paraphrases):
        if case.subject not in prompt:
            raise SubjectNotInPrompt("the subject is not in every prompt and paraphrase")
    return case


def _nested(row: Row) -> EditCase:
    rewrite = row.row("requested_rewrite")
    subject, form = rewrite.text("subject"), rewrite.text("prompt")
    if "{}" not in form:
        raise SubjectNotInPrompt("the prompt has no {} for the subject")
    new, true = rewrite.row("target_new"), rewrite.row("target_true")
    extended = "paraphrase_prompts" not in row
    paraphrases = row.texts("generation_prompts" if extended else "paraphrase_prompts")
    neighbors = () if extended else row.texts("neighborhood_prompts")
    return EditCase(
        id=row.text("case_id"),
        subject=subject,
        prompt=form.replace("{}", subject).strip(),
        target_new=new.text("str").strip(),
        target_true=true.text("str").strip(),
        relation=rewrite.text("relation_id").partition("(")[0],
        paraphrases=_stripped(paraphrases),
        other_subjects=tuple(Probe(n.strip(), true.text("str").strip()) for n in neighbors),
    )


def _flat(row: Row) -> EditCase:
    true = row.text("ground_truth").strip()
    neighbor = Probe(row.text("locality_prompt").strip(), row.text("locality_ground_truth").strip())
    return EditCase(
        id=row.text("case_id"),
        subject=row.text("subject"),
        prompt=row.text("prompt").strip(),
        target_new=row.text("target_new").strip(),
        target_true=true,
        paraphrases=(row.text("rephrase_prompt").strip(),),
        other_subjects=(neighbor,),
    )


def _stripped(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts)
