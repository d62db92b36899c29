"""What surrounds a subject in the graph: other facts, other values, and relations nearby."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from server.graph.relation import Vocabulary
from server.tuning.related import RelatedRelations
from training.sources import Everyday, Sources

_MOST_FACTS = 20
_TAILS_EACH = 4
_MOST_VALUES = 3


class Surroundings:
    """Draws facts that do not answer a question, and names phrases of related relations."""

    def __init__(self, sources: Sources, vocabulary: Vocabulary, rng: random.Random) -> None:
        self._sources = sources
        self._vocabulary = vocabulary
        self._rng = rng
        self._pararel: Mapping[str, Mapping[str, Any]] = sources.wordings["pararel"]
        self._related = RelatedRelations.built_in()
        self._intents = {kind: self._intents_about(kind) for kind in sources.subject_lists}
        self.objects = {relation: self._objects_of(relation) for relation in sources.pairs}
        """All objects of each ParaRel relation."""

    def conceptnet_facts(self, subject: str, relation: str) -> list[str]:
        """Facts of ConceptNet about `subject`, or else about its last word."""
        graph = self._sources.conceptnet
        known = subject if subject in graph else subject.split()[-1]
        facts: list[str] = []
        for other, tails in graph.get(known, {}).items():
            if other in self._vocabulary and not _is_near(other, relation):
                phrase = self._vocabulary.phrase(other)
                facts += [f"{subject} {phrase} {tail}" for tail in tails[:_TAILS_EACH]]
        self._rng.shuffle(facts)
        return facts[:_MOST_FACTS]

    def conceptnet_values(self, subject: str, relation: str) -> list[str]:
        """Values that ConceptNet has for the relation itself."""
        return self._sources.conceptnet.get(subject, {}).get(relation, [])[:_MOST_VALUES]

    def everyday_facts(self, subject: str, kind: str, relation: str) -> list[str]:
        """Made-up facts, as people have them about a subject of this kind."""
        intents = [e for e in self._intents[kind] if not _is_near(e.relation, relation)]
        facts = []
        for intent in self._rng.sample(intents, min(self._rng.randint(1, 6), len(intents))):
            values = self._sources.value_lists[self._rng.choice(intent.values)]
            phrase = self._vocabulary.phrase(intent.relation)
            facts.append(f"{subject} {phrase} {self._rng.choice(values)}")
        return facts

    def pararel_facts(self, subject: str, relation: str) -> list[str]:
        """Made-up facts with ParaRel's relations of the same group."""
        candidates = [r for r in self.objects if self._is_distractor(r, relation)]
        most = self._rng.randint(2, 12)
        chosen = self._rng.sample(candidates, min(len(candidates), most))
        return [self._pararel_fact(subject, r) for r in chosen]

    def related_phrases(self, relation: str, kind: str) -> tuple[str, ...]:
        """Phrases of relations that one could also name, nearest first."""
        related = self._related
        if relation in related.relations:
            names = related.relations[relation]
        elif relation in _TIMES:
            names = related.kinds["time"]
        elif kind in _PLACE_KINDS:
            names = related.kinds["place"]
        elif kind in _PERSON_KINDS:
            names = related.kinds["person"]
        else:
            names = related.kinds["thing"]
        return tuple(self._vocabulary.phrase(n) for n in names if n != relation)

    def _intents_about(self, kind: str) -> list[Everyday]:
        return [e for e in self._sources.everyday if kind in e.subjects]

    def _objects_of(self, relation: str) -> list[str]:
        return sorted({pair.object for pair in self._sources.pairs[relation]})

    def _is_distractor(self, other: str, relation: str) -> bool:
        return (
            self._pararel[other]["phrase"] != self._pararel[relation]["phrase"]
            and _PARAREL_GROUP.get(other) == _PARAREL_GROUP.get(relation)
            and other not in _PARAREL_NEAR.get(relation, ())
        )

    def _pararel_fact(self, subject: str, relation: str) -> str:
        phrase = self._pararel[relation]["phrase"]
        return f"{subject} {phrase} {self._rng.choice(self.objects[relation])}"


def _is_near(other: str, relation: str) -> bool:
    """Whether a fact with `other` could pass for an answer to a question about `relation`."""
    return other == relation or other in _NEAR.get(relation, ())


_TIMES = frozenset(
    {"takes place on", "starts at", "ends at", "lasts", "was born on", "happened in", "is aged"}
)
_PLACE_KINDS = ("shops", "events", "countries list", "trips", "rooms")
_PERSON_KINDS = ("person", "relatives", "people", "professions", "pets", "famous people")

_NEAR = {
    "Desires": ("CapableOf", "NotDesires", "studies", "plays the instrument", "supports"),
    "NotDesires": ("Desires", "is allergic to"),
    "is allergic to": ("NotDesires",),
    "AtLocation": ("LocatedNear", "PartOf", "LocationOfAction", "was born in", "works for"),
    "IsA": ("InstanceOf", "DefinedAs", "HasProperty", "InheritsFrom", "is named"),
    "InstanceOf": ("IsA", "DefinedAs"),
    "DefinedAs": ("IsA", "HasProperty", "InstanceOf"),
    "HasProperty": ("IsA", "DefinedAs", "is aged", "costs"),
    "HasA": ("MadeOf", "HasProperty", "PartOf"),
    "MadeOf": ("HasA", "requires", "HasPrerequisite"),
    "requires": ("MadeOf", "HasPrerequisite"),
    "UsedFor": ("CapableOf", "ReceivesAction", "HasSubevent", "MotivatedByGoal"),
    "CapableOf": ("UsedFor", "Desires", "HasSubevent", "ReceivesAction", "NotCapableOf"),
    "ReceivesAction": ("UsedFor", "CapableOf"),
    "Causes": ("HasSubevent", "CausesDesire", "HasLastSubevent"),
    "HasSubevent": ("HasFirstSubevent", "HasLastSubevent", "HasPrerequisite", "Causes", "UsedFor"),
    "HasFirstSubevent": ("HasSubevent", "HasPrerequisite"),
    "HasLastSubevent": ("HasSubevent", "Causes"),
    "HasPrerequisite": ("HasFirstSubevent", "HasSubevent", "requires"),
    "MotivatedByGoal": ("UsedFor", "Causes", "CausesDesire", "HasSubevent"),
    "CausesDesire": ("Causes", "MotivatedByGoal"),
    "takes place on": ("starts at", "was born on"),
    "starts at": ("takes place on",),
    "is named": ("IsA", "is married to", "DefinedAs"),
    "works as": ("IsA", "works for"),
    "works for": ("AtLocation", "works as"),
    "was born in": ("AtLocation",),
    "plays the instrument": ("Desires",),
    "speaks": (),
    "is treated with": ("Causes", "HasPrerequisite"),
    "is caused by": ("Causes",),
}
"""For each relation those whose facts could pass for an answer to a question about it. They are
never among its distractors."""

_PARAREL_GROUPS = {
    "person": """
        P101 P103 P106 P108 P1303 P136 P140 P1412 P19 P20 P27 P39 P413 P463 P937
        P264
    """,
    "place": """
        P1376 P17 P131 P276 P190 P30 P36 P37 P47 P530 P138 P279
    """,
    "product": """
        P127 P159 P176 P178 P364 P407 P449 P495 P740
    """,
}
_PARAREL_GROUP = {
    relation: group for group, names in _PARAREL_GROUPS.items() for relation in names.split()
}
_PARAREL_NEAR = {
    "P103": ("P1412",),
    "P1412": ("P103",),
    "P19": ("P27", "P937"),
    "P27": ("P19",),
    "P101": ("P106",),
    "P106": ("P101", "P39"),
    "P39": ("P106",),
    "P1303": ("P136",),
    "P136": ("P1303",),
    "P108": ("P937", "P463"),
    "P937": ("P108", "P19"),
    "P463": ("P108",),
    "P17": ("P30", "P131", "P276", "P47"),
    "P30": ("P17", "P131", "P276"),
    "P131": ("P17", "P30", "P276"),
    "P276": ("P17", "P30", "P131"),
    "P37": (),
    "P176": ("P178", "P127"),
    "P178": ("P176", "P127"),
    "P127": ("P176", "P178"),
    "P364": ("P407",),
    "P407": ("P364",),
    "P495": ("P740", "P159"),
    "P740": ("P495", "P159"),
    "P159": ("P740", "P495"),
    "P47": ("P530",),
    "P530": ("P47",),
    "P264": (),
}
"""As _NEAR, for ParaRel's relations."""
