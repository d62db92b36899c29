"""Compares the base model with and without the adapter, on cases that the adapter has never seen.

`measure` asks one model everything, and its figures are kept as JSON. `write` makes docs/model.md
from the figures of two models. Each held-out split (subjects, wordings, relations) has questions of
its own from the training generator, none of which is in the training data. The everyday corrections
(evaluation/everyday.py) go through the whole service.

The questions of a split come from the four sources that the adapter was trained on when the report
was first made: 45 of 100 everyday, 30 ConceptNet, 12 ParaRel and 13 CounterFact; of wordings, 60
everyday and 40 ConceptNet. Training has since drawn questions of kinds as well (training/kinds.py).
They are counted apart, so that the figures of the splits remain those of the same questions. A
question among N facts has fewer where its subject has fewer: of a kind, eleven at most.
"""

from __future__ import annotations

import asyncio
import math
import platform
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from evaluation import everyday
from kgload.notes import from_note, to_note
from server import assemble
from server.graph.relation import Vocabulary
from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.transformers_model import TransformersModel
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.objective import probability
from server.tuning.ports import Branch, GenerateRequest
from server.tuning.templates import SEPARATOR, extraction_prompt, reasoning_prompt, retrieval_prompt
from server.tuning.texts import says
from training.examples import ExampleMaker
from training.parts import Unseen
from training.question import Question
from training.sources import Sources

PLAIN_TEXT = Path(__file__).parent / "data" / "plain.txt"
SPLITS: tuple[Unseen, ...] = ("subjects", "wordings", "relations")
FACTS = (1, 5, 20)
SEED = 4242
_MAX_ANSWER_TOKENS = 16
_K = 5
_SMALL, _LARGE = 6, 40


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the cases are hits."""

    hits: int = 0
    cases: int = 0

    def with_case(self, hit: bool) -> Share:
        """The share with one more case."""
        return Share(self.hits + hit, self.cases + 1)

    def __str__(self) -> str:
        return f"{100 * self.hits / self.cases:.1f}%" if self.cases else "-"


@dataclass(slots=True)
class Measured:
    """All of one model's figures. `shares` is by name and split, `of_kinds` too."""

    shares: dict[str, dict[str, Share]] = field(default_factory=dict)
    of_kinds: dict[str, dict[str, Share]] = field(default_factory=dict)
    """What is asked of the questions of kinds."""
    perplexity: float = math.nan
    fingerprint: str = ""
    adapter_fingerprint: str = ""
    seconds: float = 0.0

    def count(self, name: str, split: str, hit: bool, *, of_kinds: bool = False) -> None:
        """Count a case."""
        of_split = (self.of_kinds if of_kinds else self.shares).setdefault(name, {})
        of_split[split] = of_split.get(split, Share()).with_case(hit)

    def total(self, name: str) -> Share:
        """The share over all splits."""
        shares = self.shares.get(name, {}).values()
        return Share(sum(s.hits for s in shares), sum(s.cases for s in shares))


@dataclass(frozen=True, slots=True)
class Cases:
    """How many cases one model gets."""

    questions: int
    """In each split."""
    of_kinds: int
    """Questions of kinds, in each split."""
    everyday: int

    def __str__(self) -> str:
        return f"{self.questions}-{self.of_kinds}-{self.everyday}"


# Measuring


def measure(
    model_folder: Path,
    adapter: Path | None,
    data: Path,
    cases: Cases,
    kept: Path,
) -> Measured:
    """One model's figures, read from the folder `kept` if the same call measured them before."""
    choice = ModelChoice(str(model_folder), str(adapter) if adapter else "none")
    loaded = load(choice)
    adapter_name = loaded.adapter_fingerprint or "base"
    file = kept / f"{loaded.fingerprint}-{adapter_name}-{cases}.json"
    if file.exists():
        return from_note(Measured, file.read_text())
    started = time.monotonic()
    measured = asyncio.run(_measured(loaded, data, cases))
    measured.seconds = time.monotonic() - started
    kept.mkdir(parents=True, exist_ok=True)
    file.write_text(to_note(measured))
    return measured


async def _measured(loaded: LoadedModel, data: Path, cases: Cases) -> Measured:
    measured = Measured(
        fingerprint=loaded.fingerprint, adapter_fingerprint=loaded.adapter_fingerprint
    )
    model = TransformersModel(loaded)
    try:
        sources, vocabulary = Sources(data), Vocabulary.built_in()
        for split in SPLITS:
            asker = _Asker(model, vocabulary, measured, split)
            maker = ExampleMaker(sources, vocabulary, SEED, split)
            for number in range(cases.questions):
                await asker.ask_all(maker, maker.questions.draw_without_kinds())
                _tell(split, number + 1, cases.questions)
            asker = _Asker(model, vocabulary, measured, split, of_kinds=True)
            maker = ExampleMaker(sources, vocabulary, SEED, split)
            for number in range(cases.of_kinds):
                await asker.ask_all(maker, maker.questions.draw_of_kinds())
                _tell(f"kinds, {split}", number + 1, cases.of_kinds)
        texts = PLAIN_TEXT.read_text(encoding="utf-8").split("\n\n")
        measured.perplexity = perplexity(loaded, texts)
        await _everyday(model, vocabulary, measured, cases.everyday)
    finally:
        model.close()
    return measured


def _tell(what: str, done: int, of: int) -> None:
    if done % 10 == 0:
        print(f"  {what}: {done}/{of}", flush=True)


async def _everyday(
    model: TransformersModel, vocabulary: Vocabulary, measured: Measured, count: int
) -> None:
    cases = everyday.read_cases()
    with tempfile.TemporaryDirectory() as folder:
        everyday.build_graph(Path(folder), cases, vocabulary)
        store = SqliteStore(folder, vocabulary)
        use = assemble.use_cases(Settings(max_tokens=_MAX_ANSWER_TOKENS), store, model, vocabulary)
        for number, case in enumerate(cases[:count]):
            result = (await everyday.run(use, [case]))[0]
            measured.count("everyday corrections", "everyday", result.followed)
            for followed in result.paraphrases_followed:
                measured.count("everyday corrections, paraphrase", "everyday", followed)
            measured.count("unrelated query answered as before", "everyday", result.kept)
            measured.count("subject found", "everyday", result.found_subject)
            _tell("everyday", number + 1, count)
        await store.close()


class _Asker:
    """Asks one model everything about a question, and counts the answers."""

    def __init__(
        self,
        model: TransformersModel,
        vocabulary: Vocabulary,
        measured: Measured,
        split: str,
        *,
        of_kinds: bool = False,
    ) -> None:
        self._model = model
        self._phrases = [r.phrase for r in vocabulary.retrievable()]
        self._count: Callable[[str, bool], None] = lambda name, hit: measured.count(
            name, split, hit, of_kinds=of_kinds
        )
        self._rng = random.Random(SEED)

    async def ask_all(self, maker: ExampleMaker, question: Question) -> None:
        """Ask about `question`, unless it has no rivals to compare with."""
        wordings = (("", question.query), (", paraphrase", question.paraphrase))
        rivals = [r for r in question.rivals if r != question.answer]
        truth = question.truth if question.truth != question.answer else None
        if not rivals:
            return
        for n in FACTS:
            facts = maker.facts(question, others=n - 1, rivals=0)
            for suffix, query in wordings:
                name = f"{n} fact{'s' * (n > 1)}{suffix}"
                prompt = reasoning_prompt(query, facts)
                await self._followed(name, prompt, question.answer, truth or rivals[0])
        facts = maker.facts(question, others=3, rivals=1, first=True)
        for suffix, query in wordings:
            prompt = reasoning_prompt(query, facts)
            await self._followed(f"first of two rivals{suffix}", prompt, question.answer, rivals[0])
            await self._retrieved(suffix, query, question)
        await self._extracted(question)
        if truth is not None:
            await self._followed(
                "true fact without an edit", question.query, truth, question.answer
            )

    async def _followed(self, name: str, prompt: str, answer: str, rival: str) -> None:
        right, wrong = await self._probabilities(prompt, (answer, rival))
        self._count(f"{name}, by probability", right > wrong)
        text = await self._generated(prompt, _MAX_ANSWER_TOKENS)
        self._count(f"{name}, by generation", says(text, answer))

    async def _retrieved(self, suffix: str, query: str, question: Question) -> None:
        others = [p for p in self._phrases if p != question.phrase]
        self._rng.shuffle(others)
        prompt = retrieval_prompt(query, question.subject)
        ranked = await self._probabilities(prompt, (question.phrase, *others[: _LARGE - 1]))
        for size in (_SMALL, _LARGE):
            self._count(f"relation first of {size}{suffix}", ranked[0] > max(ranked[1:size]))

    async def _extracted(self, question: Question) -> None:
        prompt = extraction_prompt(
            question.query, question.answer, question.subject, question.answer, _K
        )
        first = (await self._generated(prompt, 60)).split(SEPARATOR)[0].strip()
        self._count("extraction names the relation first", first == question.phrase)

    async def _probabilities(self, prompt: str, answers: Sequence[str]) -> list[float]:
        scores = await self._model.score([Branch(prompt, tuple(f" {a}" for a in answers))])
        return [probability(lp) for lp in scores.logprobs[0]]

    async def _generated(self, prompt: str, max_tokens: int) -> str:
        request = GenerateRequest(prompt, max_tokens)
        return "".join([piece.text async for piece in self._model.generate(request)])


def perplexity(loaded: LoadedModel, texts: Sequence[str]) -> float:
    """exp of the mean negative log-probability of all tokens, except the first of each text.

    The model computes in its own number format.
    """
    total, tokens = 0.0, 0
    for text in filter(None, map(str.strip, texts)):
        read = loaded.tokenizer(text).input_ids[: loaded.context_tokens]
        ids = torch.tensor([read], device=loaded.model.device)
        with torch.inference_mode():
            logits = loaded.model(input_ids=ids).logits[0, :-1]  # (tokens - 1, vocabulary)
            logprobs = logits.float().log_softmax(-1)
        total -= float(logprobs.gather(-1, ids[0, 1:, None]).sum())
        tokens += ids.shape[1] - 1
    return math.exp(total / tokens)


# Writing

_AIMS = {
    "1 fact, by probability": "99%",
    "1 fact, paraphrase, by probability": "99%",
    "5 facts, by generation": "95%",
    "5 facts, paraphrase, by generation": "90%",
    f"relation first of {_SMALL}, paraphrase": "90%",
    "everyday corrections": "95%",
    "everyday corrections, paraphrase": "90%",
}


def write(base: Measured, adapted: Measured, path: Path) -> None:
    """Write two models' figures to `path`. The text above the marker in the file stays."""
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    head = written.partition(MARKER)[0]
    tables = "\n".join(_lines(base, adapted))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head}{MARKER}\n\n{tables}\n", encoding="utf-8")


MARKER = "<!-- below: written by `make train-report` -->"


def _lines(base: Measured, adapted: Measured) -> list[str]:
    names = list(dict.fromkeys([*adapted.shares, *base.shares]))
    split_names = [n for n in names if set(adapted.shares[n]) != {"everyday"}]
    everyday_names = [n for n in names if n not in split_names]
    worse = adapted.perplexity / base.perplexity
    return [
        f"`make train-report`, {datetime.now(UTC):%Y-%m-%d}, {_machine()};"
        f" {base.seconds / 60:.0f} and {adapted.seconds / 60:.0f} minutes.",
        f"Base `{base.fingerprint}`; adapter `{adapted.adapter_fingerprint}`.",
        "",
        "| | aim | base | with adapter |",
        "| --- | --- | --- | --- |",
        *(_row(name, base, adapted) for name in [*split_names, *everyday_names]),
        f"| perplexity on plain text | within 10% | {base.perplexity:.1f}"
        f" | {adapted.perplexity:.1f} ({worse:.2f}x) |",
        "",
        "## With the adapter, by what was never seen",
        "",
        *_split_table({name: adapted.shares[name] for name in split_names}),
        *(["", "## The same for questions of kinds", ""] if adapted.of_kinds else []),
        *(_split_table(adapted.of_kinds) if adapted.of_kinds else []),
    ]


def _row(name: str, base: Measured, adapted: Measured) -> str:
    aim = _AIMS.get(name, "")
    return f"| {name} | {aim} | {_of_cases(base.total(name))} | {_of_cases(adapted.total(name))} |"


def _split_table(of_names: Mapping[str, Mapping[str, Share]]) -> list[str]:
    lines = [
        "| | " + " | ".join(f"{s} never seen" for s in SPLITS) + " |",
        "| --- |" + " --- |" * len(SPLITS),
    ]
    for name, of_split in of_names.items():
        shares = (of_split.get(split, Share()) for split in SPLITS)
        lines.append(f"| {name} | " + " | ".join(map(_of_cases, shares)) + " |")
    return lines


def _of_cases(share: Share) -> str:
    return f"{share} of {share.cases}"


def _machine() -> str:
    threads = torch.get_num_threads()
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {threads} threads, torch {torch.__version__}"
