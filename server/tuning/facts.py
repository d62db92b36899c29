"""Which triples an answer rests on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.relation import Vocabulary
from server.tuning.objective import comparable


@dataclass(frozen=True, slots=True)
class RetrievalRules:
    """How facts are chosen for an answer.

    A relation with personal triples counts `personal_weight` times (1 is the paper); an answer
    rests on at most `facts` triples.
    """

    personal_weight: float = 2.0
    facts: int = 3


def retrievable_view(
    view: Neighborhood, vocabulary: Vocabulary, asked_for: Collection[str] = ()
) -> Neighborhood:
    """`view` without the base's triples of relations that are no facts (FormOf, Synonym, ...)
    unless asked for.

    What a user added is asked for by having been added.
    """

    def kept(part: RelationSlice) -> RelationSlice:
        if vocabulary.is_retrievable(part.relation) or part.relation in asked_for:
            return part
        return replace(part, base=(), base_count=0)

    return replace(view, slices=tuple(s for s in map(kept, view.slices) if s.count))


def retrieval_order(
    view: Neighborhood, relations: Mapping[str, float], rules: RetrievalRules
) -> tuple[RelationSlice, ...]:
    """The view's relations, the most probably needed first: p(r), times personal_weight where the
    user has triples.

    Equal ones in the order of their names.
    """

    def key(part: RelationSlice) -> tuple[float, str]:
        weight = rules.personal_weight if part.personal else 1.0
        return -comparable(relations[part.relation] * weight), part.relation

    return tuple(sorted(view.slices, key=key))


def facts_for_answer(
    view: Neighborhood, relations: Mapping[str, float], rules: RetrievalRules
) -> tuple[ViewedTriple, ...]:
    """The triples that Answer reads, in order of precedence.

    Down the relations in retrieval order; one with personal triples gives those alone (newest
    first), any other the base's (heaviest first); until there are `rules.facts`.
    """
    facts: list[ViewedTriple] = []
    for part in retrieval_order(view, relations, rules):
        facts.extend(part.personal or part.base)
        if len(facts) >= rules.facts:
            break
    return tuple(facts[: rules.facts])


def possible_companions(
    view: Neighborhood, relations: Mapping[str, float] | None, rules: RetrievalRules
) -> tuple[ViewedTriple, ...]:
    """The triples that can stand beside an added one among an answer's facts, as long as nothing is
    removed.

    With the relations' probabilities they are few; without (None) every relation may come first.
    """
    beside = rules.facts - 1
    slices = view.slices if relations is None else retrieval_order(view, relations, rules)
    first = [viewed for part in slices for viewed in (part.personal or part.base)[:beside]]
    # The added triple takes the place of its relation's base triples: so many more can move up
    return tuple(first if relations is None else first[: 2 * beside])
