"""Everyday corrections through the whole service.

Is a correction followed, also in other words, and does everything else stay as it was? The cases
(data/everyday.jsonl) were written for this project and are never trained on. All of their base
facts make one graph. Each case is a user of its own, who corrects once and asks again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kgload.small import BaseTriple, build_base
from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.rpc.service import UseCases
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import AnswerQuery
from server.tuning.personalize.command import PersonalizeCommand, RelationSource
from server.tuning.ports import LanguageModel
from server.tuning.texts import says

CASES = Path(__file__).parent / "data" / "everyday.jsonl"
ANSWER_TOKENS = 16
"""Longer than any case's answer."""


@dataclass(frozen=True, slots=True)
class EverydayCase:
    """A query, the answer that its user wants, and how else the same is asked.

    `unrelated` is a query that must be answered as before.
    """

    id: int
    topic: str
    query: str
    subject: str
    answer: str
    paraphrases: tuple[str, ...]
    unrelated: str
    base_facts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class EverydayResult:
    """What the service answered, before and after the correction."""

    case: EverydayCase
    found_subject: bool
    """Whether the query was linked to the concept that the case names."""
    converged: bool
    answer: str
    paraphrase_answers: tuple[str, ...]
    unrelated_before: str
    unrelated_after: str
    added: int
    removed: int
    forward_passes: int

    @property
    def followed(self) -> bool:
        return says(self.answer, self.case.answer)

    @property
    def paraphrases_followed(self) -> tuple[bool, ...]:
        return tuple(says(a, self.case.answer) for a in self.paraphrase_answers)

    @property
    def kept(self) -> bool:
        return self.unrelated_before == self.unrelated_after


def read_cases(path: Path = CASES) -> list[EverydayCase]:
    """Read the cases in a JSON-lines file."""
    return [_case(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _case(row: Mapping[str, Any]) -> EverydayCase:
    return EverydayCase(
        row["id"],
        row["topic"],
        row["query"],
        row["subject"],
        row["answer"],
        tuple(row["paraphrases"]),
        row["unrelated"],
        tuple((head, relation, tail) for head, relation, tail in row["base_facts"]),
    )


def build_graph(folder: Path, cases: Iterable[EverydayCase], vocabulary: Vocabulary) -> None:
    """Build the base graph of all the cases' facts in `folder`."""
    triples = [BaseTriple(Triple.of(*fact)) for case in cases for fact in case.base_facts]
    build_base(folder, triples, vocabulary)


async def run(use: UseCases, cases: Sequence[EverydayCase]) -> list[EverydayResult]:
    """Run each case in turn."""
    return [await _run_one(use, case) for case in cases]


async def _run_one(use: UseCases, case: EverydayCase) -> EverydayResult:
    user = f"case {case.id}"

    async def ask(query: str) -> str:
        return (await use.answerer.answer(AnswerQuery(user, query))).text

    before = await ask(case.unrelated)
    command = PersonalizeCommand(user, case.query, case.answer, rules=use.personalize_defaults)
    outcome = await use.writes.run(
        user, lambda snapshot: use.personalizer.propose(command, snapshot)
    )
    return EverydayResult(
        case=case,
        found_subject=outcome.subject.concept == Triple.of(case.subject, "IsA", "x").head,
        converged=outcome.account.converged,
        answer=await ask(case.query),
        paraphrase_answers=tuple([await ask(p) for p in case.paraphrases]),
        unrelated_before=before,
        unrelated_after=await ask(case.unrelated),
        added=len(outcome.edit.added),
        removed=len(outcome.edit.removed),
        forward_passes=outcome.cost.model.forward_passes,
    )


async def measure(
    settings: Settings,
    language_model: LanguageModel,
    asked: Sequence[EverydayCase],
    source: RelationSource,
) -> list[EverydayResult]:
    """Run the cases `asked`, in the graph of all cases.

    The relations of a correction come from `source`.
    """
    vocabulary = await assemble.vocabulary(settings)
    with tempfile.TemporaryDirectory() as folder:
        build_graph(Path(folder), read_cases(), vocabulary)
        store = SqliteStore(folder, vocabulary)
        use = assemble.use_cases(settings, store, language_model, vocabulary)
        rules = replace(use.personalize_defaults, relation_source=source)
        try:
            return await run(replace(use, personalize_defaults=rules), asked)
        finally:
            await store.close()


def counts(results: Sequence[EverydayResult]) -> dict[str, int]:
    """How many of the cases are what. The numbers of parts of the cases add up."""
    return {
        "cases": len(results),
        "followed": sum(r.followed for r in results),
        "paraphrases_followed": sum(sum(r.paraphrases_followed) for r in results),
        "kept": sum(r.kept for r in results),
        "subjects_found": sum(r.found_subject for r in results),
        "forward_passes": sum(r.forward_passes for r in results),
    }
