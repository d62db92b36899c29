"""KGT: the service's own use cases on its store, with the base graph that the run has built.

`edit` is Personalize, and `generate` is the text of Answer. `logprob` is the paper's Eq. 1:

    P(a|q) = sum over z of P(z|q) P(a|q,z)

Literal mode takes it over the triples that start at the query's subject, with P(z|q) as Eq. 5 is
printed. The default mode takes it over the facts that Answer reads, with the P(z|q) that Answer
reports. The facts, the weights and the prompts come from the service's own code; only the tokens'
distributions are read from the model directly, because ROME's metric needs each token's. By the
chain rule, the probability of a token is that of the target up to it, divided by that of the target
before it, so the product over the tokens is P(a|q).

This differs from what Answer says of its candidates: there the mean over tokens is taken for each
z before they are summed up. Here it is taken of the sum, as for every other system.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from evaluation.methods.account import EditAccount
from evaluation.methods.method import EditCase, TargetLogprob
from evaluation.methods.setting import EvalModel
from server import assemble
from server.errors import KgtError
from server.graph.triple import verbalize
from server.rpc.service import UseCases
from server.tuning.answer import AnswerQuery
from server.tuning.cost import CostMeter
from server.tuning.objective import Probabilities, RetrievalWeights
from server.tuning.personalize.command import (
    PersonalizeCommand,
    PersonalizeRules,
    RelationSource,
)
from server.tuning.problem import Removal, Stopping
from server.tuning.scoring import triples_to_score
from server.tuning.templates import reasoning_prompt

EXTRACTION = "relations"
"""The stage of Personalize in which H's relations are found."""


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the tables: how KGT is run."""

    literal: bool
    """Algorithm 1 as printed and without verification, or the service's default mode."""
    labelled: bool
    """Whether the data's subject is passed, as in the paper, or found by the service."""
    given: bool = False
    """Whether the user names the relation, too (Figure 3): Wikidata's label, so |H| is 1."""
    source: RelationSource = RelationSource.GENERATED
    """Where relations come from that are not given."""
    edits: bool = True
    """Whether anything is edited: without, it is the paper's "no edit"."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt that a target may follow, and ln P(z|q) of the triple in it."""

    text: str
    log_weight: float


class Kgt:
    """One user of the service, who corrects it case by case."""

    def __init__(self, name: str, model: EvalModel, way: Way) -> None:
        self._name = name
        self._model = model
        self._way = way
        self._user = f"evaluation {uuid.uuid4().hex[:12]}"
        self._read: dict[str, tuple[_Prompt, ...]] = {}
        self._account = EditAccount()
        self._runner = asyncio.Runner()
        self._use = self._runner.run(self._opened())

    async def _opened(self) -> UseCases:
        settings = self._model.settings
        vocabulary = await assemble.vocabulary(settings)
        store = await assemble.open_store(settings, vocabulary)
        return assemble.use_cases(settings, store, self._model.service, vocabulary)

    @property
    def name(self) -> str:
        return self._name

    def fit(self, cases: Sequence[EditCase]) -> None:
        """Learn nothing: KGT has nothing to train."""

    def edit(self, case: EditCase) -> None:
        """Personalize. What the service refuses changes nothing; `account` says why."""
        self._account = EditAccount(triples=0)
        if self._way.edits:
            self._read.clear()
            self._account = self._runner.run(self._personalized(case))

    def account(self) -> EditAccount:
        """What the last edit did."""
        return self._account

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        if prompt not in self._read:
            self._read[prompt] = self._runner.run(self._prompts(prompt))
        prompts = self._read[prompt]
        predicted = self._model.plain.predicted([one.text for one in prompts], target)
        log_weights = torch.tensor([one.log_weight for one in prompts], dtype=torch.float64)
        return mixed(predicted.logprobs.cpu().double(), predicted.tokens.cpu(), log_weights)

    def generate(self, prompt: str) -> str:
        query = AnswerQuery(self._user, prompt, self._subject_of(prompt))
        return self._runner.run(self._use.answerer.answer(query)).text

    def save(self, path: Path) -> None:
        """Write the user's export."""
        lines = self._runner.run(self._use.courier.export(self._user))
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_name(f"{path.name}.building")
        building.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        building.replace(path)

    def restore(self, path: Path) -> None:
        """Import what was exported. The user is new."""
        lines = path.read_text(encoding="utf-8").split("\n")
        self._runner.run(self._imported(lines))

    async def _imported(self, lines: Sequence[str]) -> None:
        courier = self._use.courier
        command = await courier.command(self._user, lines, merge=False)
        await self._use.writes.run(self._user, partial(courier.propose_import, command))

    def close(self) -> None:
        """Erase the user and close the store."""
        self._runner.run(self._closed())
        self._runner.close()

    async def _closed(self) -> None:
        await self._use.erasing.erase(self._user, None)
        await self._use.store.close()

    def _subject_of(self, prompt: str) -> str | None:
        return self._model.labels.subjects.get(prompt) if self._way.labelled else None

    # Editing

    async def _personalized(self, case: EditCase) -> EditAccount:
        use, way = self._use, self._way
        relation = self._model.labels.relations.get(case.prompt) if way.given else None
        command = PersonalizeCommand(
            self._user,
            case.prompt,
            case.target_new,
            subject=(case.subject or None) if way.labelled else None,
            relations=(relation,) if relation else (),
            verify=not way.literal,
            rules=self._rules(),
        )
        try:
            outcome = await use.writes.run(
                self._user, lambda snapshot: use.personalizer.propose(command, snapshot)
            )
        except KgtError as error:
            return EditAccount(refused=type(error).__name__, triples=0)
        stages = dict(outcome.cost.stages_ms)
        changed = len(outcome.edit.added) + len(outcome.edit.removed)
        return EditAccount(stages.get(EXTRACTION), changed)

    def _rules(self) -> PersonalizeRules:
        rules = replace(self._use.personalize_defaults, relation_source=self._way.source)
        if not self._way.literal:
            return rules
        return replace(rules, stopping=Stopping.LITERAL, removal=Removal.LITERAL)

    # Asking

    async def _prompts(self, query: str) -> tuple[_Prompt, ...]:
        """What a target is weighed after: a prompt for each triple, or the query without any."""
        meter = CostMeter()
        found = await (self._literal(query, meter) if self._way.literal else self._facts(query))
        total = math.fsum(weight for _, weight in found)
        if total == 0:
            return (_Prompt(query, 0.0),)
        return tuple(
            _Prompt(reasoning_prompt(query, [said]), math.log(weight / total))
            for said, weight in found
            if weight > 0
        )

    async def _literal(self, query: str, meter: CostMeter) -> list[tuple[str, float]]:
        """The triples that start at the query's subject, as they are read, and Eq. 5's weights."""
        answerer, budget = self._use.answerer, self._use.personalize_defaults.budget
        choice = await answerer.subject_of(self._user, query, self._subject_of(query), None)
        limit = answerer.rules.neighborhood_limit
        looked = await answerer.retriever.look(self._user, choice, limit, literal=True)
        view = looked.view
        scorer = answerer.scorer(self._user, query, choice.match.concept, meter, {})
        relations = await scorer.relations([part.relation for part in view.slices])
        known = Probabilities(relations, literal=True)
        weights = RetrievalWeights(view, known)
        scored = [view.find(z) for z in triples_to_score(view, known, budget)]
        return [(scorer.said(v.triple), weights.of(v)) for v in scored if v is not None]

    async def _facts(self, query: str) -> list[tuple[str, float]]:
        """The facts that Answer reads, and the P(z|q) that it reports."""
        asked = AnswerQuery(self._user, query, self._subject_of(query))
        evidence = await self._use.answerer.evidence(asked, CostMeter())
        vocabulary = self._use.vocabulary
        return [
            (verbalize(f.viewed.triple, vocabulary), f.retrieval_probability)
            for f in evidence.facts
        ]


def mixed(logprobs: torch.Tensor, tokens: torch.Tensor, log_weights: torch.Tensor) -> TargetLogprob:
    """What a target's tokens cost where several prompts are weighed.

    logprobs: (prompts, tokens of the target, vocabulary); tokens: (tokens,); log_weights:
    (prompts,), the logarithms of weights that sum to 1.
    """
    index = tokens.expand(len(logprobs), -1)[..., None]
    own = logprobs.gather(-1, index)[..., 0].cumsum(-1)  # (prompts, tokens)
    before = torch.cat([torch.zeros(len(own), 1), own[:, :-1]], dim=1)
    weights = log_weights[:, None] + before  # (prompts, tokens): unnormalised, before each token
    until = (log_weights[:, None] + own).logsumexp(0)
    of_tokens = until - weights.logsumexp(0)
    likeliest = (weights[..., None] + logprobs).logsumexp(0).argmax(-1)
    return TargetLogprob(tuple(of_tokens.tolist()), tuple((likeliest == tokens).tolist()))
