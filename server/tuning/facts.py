"""The facts that an answer rests on, and their order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.relation import Vocabulary
from server.tuning.objective import comparable


@dataclass(frozen=True, slots=True)
class RetrievalRules:
    """How facts are chosen for an answer."""

    personal_weight: float = 2.0
    """How much more a relation with personal triples counts. The paper's method has 1."""
    facts: int = 3
    """An answer rests on at most this many triples."""


def retrievable_view(
    view: Neighborhood, vocabulary: Vocabulary, asked_for: Collection[str] = ()
) -> Neighborhood:
    """`view` without the base's triples of relations that are not facts (FormOf, Synonym, ...).

    Those of relations in `asked_for` stay, and so does everything that the user added.
    """

    def kept(part: RelationSlice) -> RelationSlice:
        if vocabulary.is_retrievable(part.relation) or part.relation in asked_for:
            return part
        return replace(part, base=(), base_count=0)

    return replace(view, slices=tuple(s for s in map(kept, view.slices) if s.count))


def retrieval_order(
    view: Neighborhood, relations: Mapping[str, float], rules: RetrievalRules
) -> tuple[RelationSlice, ...]:
    """The view's relations, the most probably needed first.

    By p(r), times `personal_weight` where the user has triples. Ties go by name.
    """

    def key(part: RelationSlice) -> tuple[float, str]:
        weight = rules.personal_weight if part.personal else 1.0
        return -comparable(relations[part.relation] * weight), part.relation

    return tuple(sorted(view.slices, key=key))


def facts_for_answer(
    view: Neighborhood, relations: Mapping[str, float], rules: RetrievalRules
) -> tuple[ViewedTriple, ...]:
    """The triples that Answer reads, in order of precedence.

    Relations give them in retrieval order until there are `rules.facts`. A relation with personal
    triples gives only those, newest first; any other gives the base's, heaviest first.
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
    """The triples that may be facts next to an added one, as long as nothing is removed.

    Few if the relations' probabilities are known. Without them (None) any relation may come first.
    """
    others = rules.facts - 1
    slices = view.slices if relations is None else retrieval_order(view, relations, rules)
    first: list[ViewedTriple] = []
    for part in slices:
        first.extend((part.personal or part.base)[:others])
    if relations is None:
        return tuple(first)
    # The added triple replaces its relation's base triples, and as many more can move up.
    return tuple(first[: 2 * others])
