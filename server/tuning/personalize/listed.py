"""The relations of H: those that the caller names, or that the model lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from server.graph.triple import Triple
from server.tuning.objective import Probabilities, comparable
from server.tuning.personalize.command import RelationSource
from server.tuning.personalize.inquiry import Inquiry
from server.tuning.ports import GenerateRequest
from server.tuning.relations import TOKENS_PER_RELATION, filled_up, parse_relations
from server.tuning.scoring import longest_field
from server.tuning.templates import extraction_prompt


async def relations_of_h(
    inquiry: Inquiry, known: Probabilities, refuted: Triple | None
) -> Sequence[str]:
    """The caller's relations, else the model's own, filled up to K by ranking."""
    correction, rules = inquiry.correction, inquiry.correction.command.rules
    if correction.relations:
        return correction.relations
    names: tuple[str, ...] = ()
    if rules.relation_source is RelationSource.GENERATED:
        names = await _generated(inquiry, list(_likely(known, refuted)))
    if len(names) < rules.k:
        ranked = await inquiry.scorer.ranked_relations(
            correction.feedback, correction.object, rules.k
        )
        names = filled_up(names, ranked, rules.k)
    return names


def _likely(known: Probabilities, refuted: Triple | None) -> Iterator[str]:
    """The relations that the list may begin with: the refuted fact's, and the view's by p(r)."""
    if refuted is not None:
        yield refuted.relation
    yield from sorted(known.relations, key=lambda name: -comparable(known.relations[name]))


async def _generated(inquiry: Inquiry, likely: Sequence[str]) -> tuple[str, ...]:
    """The relations that the model lists. Its likely lists are its drafts."""
    correction, answerer = inquiry.correction, inquiry.answerer
    query, feedback, k = correction.command.query, correction.feedback, correction.command.rules.k
    subject, object = inquiry.filed_at.concept.text, correction.object.text
    request = GenerateRequest(
        extraction_prompt(query, feedback, subject, object, k),
        k * TOKENS_PER_RELATION,
        drafts=answerer.related.lists(likely, k, answerer.vocabulary),
        field=longest_field({"query": query, "answer": feedback}),
    )
    return parse_relations(await inquiry.generated(request), answerer.vocabulary, k)
