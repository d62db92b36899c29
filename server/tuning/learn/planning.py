"""What the facts of a message come to in an overlay: what is new, and what goes for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from server.graph.concept import words_in
from server.graph.relation import Vocabulary
from server.graph.triple import Triple, canonical, oriented
from server.tuning.learn.filing import Filed
from server.tuning.learn.single import SingleValued
from server.tuning.texts import same_answer, says


@dataclass(frozen=True, slots=True)
class Planned:
    """A fact of a message, in the form in which it is stored, and what goes for it."""

    fact: Filed
    stored: Triple
    removed: tuple[Triple, ...]
    is_known: bool = False

    @property
    def adds(self) -> bool:
        """Whether a triple comes into the overlay."""
        return self.fact.learned and not self.is_known


def planned(
    facts: Sequence[Filed],
    standing: Iterable[Triple],
    single: SingleValued,
    vocabulary: Vocabulary,
) -> list[Planned]:
    """What `facts` come to. `standing` are the triples that the user has added so far."""
    known = set(standing)
    learned = {canonical(fact.triple, vocabulary) for fact in facts if fact.learned}
    plans: dict[tuple[Triple, bool], Planned] = {}
    for fact in facts:
        stored, head = canonical(fact.triple, vocabulary), fact.triple.head
        of_head = [(z, oriented(z, head, vocabulary)) for z in known - learned]
        goes = [z for z, seen in of_head if _goes(fact, seen, single)]
        plan = Planned(fact, stored, tuple(sorted(goes)), fact.learned and stored in known)
        plans.setdefault((stored, fact.learned), plan)
    return list(plans.values())


def instead(
    plan: Planned,
    answer: str,
    standing: Iterable[Triple],
    single: SingleValued,
    vocabulary: Vocabulary,
) -> Planned | None:
    """The plan in which a fact takes the place of what is still answered; None if there is none.

    As in a correction, what is answered is refuted by what the user says, unless the relation
    surely has several values.
    """
    fact = plan.fact.triple
    if single.has_several(fact.relation):
        return None
    for z in standing:
        seen = oriented(z, fact.head, vocabulary)
        if single.share_slot(seen, fact) and z not in plan.removed and says(answer, seen.tail.text):
            return replace(plan, removed=(*plan.removed, z))
    return None


def _goes(fact: Filed, seen: Triple, single: SingleValued) -> bool:
    """Whether a triple that the user has, seen from the fact's head, goes because of the fact."""
    if fact.learned:
        return single.contradict(fact.triple, seen)
    return seen.head == fact.triple.head and _takes_back(fact.triple, seen)


def _takes_back(said: Triple, seen: Triple) -> bool:
    """Whether what is taken back is what was said then, in these or other words."""
    if same_answer(said.tail.text, seen.tail.text):
        return True
    if said.relation != seen.relation:
        return False
    one, other = set(words_in(said.tail.key)), set(words_in(seen.tail.key))
    return one <= other or other <= one
