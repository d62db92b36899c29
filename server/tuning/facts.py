"""The facts that an answer rests on, and their order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.relation import Vocabulary
from server.tuning.objective import Probabilities, comparable


@dataclass(frozen=True, slots=True)
class RetrievalRules:
    """How facts are chosen for an answer."""

    facts: int = 3
    """An answer rests on at most this many triples, and on all values of a personal relation."""
    floor: float = 0.0
    """The inner product of keys from which on a query is about a personal fact; 0 is the model's
    own floor."""
    values: int = 12
    """It names at most so many values of one relation."""


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
    view: Neighborhood, relations: Mapping[str, float]
) -> tuple[RelationSlice, ...]:
    """The view's relations with triples of the base, the most probably needed first.

    Ties go by name.
    """

    def key(part: RelationSlice) -> tuple[float, str]:
        return -comparable(relations[part.relation]), part.relation

    return tuple(sorted((part for part in view.slices if part.base), key=key))


def facts_for_answer(
    view: Neighborhood, probabilities: Probabilities, rules: RetrievalRules
) -> tuple[ViewedTriple, ...]:
    """The triples that Answer reads, in order of precedence.

    First the personal triples, by scope weight and then the newest first; what shares head and
    relation with the first of them comes right behind it, as several values of one thing. Then the
    base's, relation by relation in retrieval order, the heaviest first, but none of a relation that
    already has a personal triple.
    """
    personal = _personal(view, probabilities)
    values = [v for v in personal if v.triple.slot == personal[0].triple.slot]
    facts = [*values[: rules.values], *(v for v in personal if v not in values)]
    if len(facts) >= rules.facts:
        return tuple(facts[: max(rules.facts, len(values[: rules.values]))])
    taken = {v.triple.slot for v in personal}
    for part in retrieval_order(view, probabilities.relations):
        facts.extend(v for v in part.base if v.triple.slot not in taken)
        if len(facts) >= rules.facts:
            break
    return tuple(facts[: rules.facts])


def _personal(view: Neighborhood, probabilities: Probabilities) -> list[ViewedTriple]:
    """The personal triples that the query is about, the one with the largest weight first."""
    scopes = probabilities.scopes

    def key(viewed: ViewedTriple) -> tuple[float, int, int]:
        return -comparable(scopes[viewed.triple]), *viewed.age

    every = (v for part in view.slices for v in part.personal)
    return sorted((v for v in every if v.triple in scopes), key=key)


def possible_companions(
    view: Neighborhood, probabilities: Probabilities | None, rules: RetrievalRules
) -> tuple[ViewedTriple, ...]:
    """The triples that may be facts next to an added one, as long as nothing is removed.

    Few if the relations' probabilities are known. Without them (None) any relation may come first.
    """
    others = rules.facts - 1
    if probabilities is not None:
        # The added triple replaces its relation's base triples, and as many more can move up.
        wider = replace(rules, facts=2 * others + 1)
        return facts_for_answer(view, probabilities, wider)
    personal = [v for part in view.slices for v in part.personal]
    base = [v for part in view.slices for v in part.base[:others]]
    return (*personal, *base)
