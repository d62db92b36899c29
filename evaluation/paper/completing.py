"""What ParaRel adds to a case: its relation, other relations of its subject, and other subjects.

CounterFact's flat form does not name a case's relation, and neither form asks for other relations
of the subject. CounterFactExtension asks for nothing but the case itself.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from evaluation.methods.method import EditCase, Probe
from evaluation.methods.setting import Labels
from evaluation.paper.pararel import ParaRel
from training.sources import Sources

MOST_PROBES = 2
"""Of each kind, unless the data has more of its own."""
_SUBJECTS = tuple(
    relations.split()
    for relations in (
        # people
        "P19 P20 P27 P39 P101 P103 P106 P108 P136 P140 P413 P463 P937 P1303 P1412",
        # countries, cities and other places
        "P17 P30 P36 P37 P47 P131 P190 P463 P530 P1376",
        # works and products
        "P127 P176 P178 P364 P407 P449 P495",
        # companies and bands
        "P127 P159 P740",
    )
)
"""Relations that have the same kind of subject."""
_ANSWERS = tuple(
    relations.split()
    for relations in (
        "P17 P19 P20 P27 P30 P36 P47 P131 P159 P190 P276 P495 P530 P740 P937 P1376",
        "P37 P103 P364 P407 P1412",
        "P39 P101 P106 P108 P136 P413 P1303",
        "P127 P176 P178 P449",
    )
)
"""Relations whose answers are of one kind: places, languages, what people do, and companies."""


class Completer:
    """Completes cases. What is drawn depends only on a case's id."""

    def __init__(self, pararel: ParaRel, sources: Sources) -> None:
        """Raises DataMissing."""
        self._pararel = pararel
        self._relation_of = sources.relation_of

    def completed(self, case: EditCase) -> EditCase:
        """The case with its relation, if it is known, and with probes of both kinds."""
        case = replace(case, relation=case.relation or self._relation(case))
        return replace(
            case,
            other_subjects=case.other_subjects or self._other_subjects(case),
            same_subject=case.same_subject or self._same_subject(case),
        )

    def _relation(self, case: EditCase) -> str:
        """By the prompt's form, else by the true fact; empty where that is of several relations."""
        if relation := self._relation_of.get(case.prompt.replace(case.subject, "{X}")):
            return relation
        known = self._pararel.about.get(case.subject, ())
        found = {one.relation for one in known if one.object == case.target_true}
        return found.pop() if len(found) == 1 else ""

    def _other_subjects(self, case: EditCase) -> tuple[Probe, ...]:
        """The case's own prompt about other subjects of its relation."""
        pairs = self._pararel.pairs.get(case.relation, ())
        others = [pair for pair in pairs if pair[0] != case.subject]
        rng = random.Random(f"other subjects {case.id}")
        drawn = rng.sample(others, min(MOST_PROBES, len(others)))
        return tuple(Probe(case.prompt.replace(case.subject, s), answer) for s, answer in drawn)

    def _same_subject(self, case: EditCase) -> tuple[Probe, ...]:
        """Other relations of the subject, each asked by its first pattern: known ones first.

        What answers the case itself is none of them: where somebody was born may be where they
        died.
        """
        rng = random.Random(f"same subject {case.id}")
        known = {
            one.relation: one.object
            for one in self._pararel.about.get(case.subject, ())
            if one.relation != case.relation and one.object != case.target_true
        }
        others = [relation for relation in companions(case.relation) if relation not in known]
        relations = [*rng.sample(list(known), len(known)), *rng.sample(others, len(others))]
        probes = []
        for relation in relations:
            if forms := self._pararel.forms.get(relation):
                prompt = forms[0].replace("{}", case.subject)
                probes.append(Probe(prompt, known.get(relation, "")))
        return tuple(probes[:MOST_PROBES])


def companions(relation: str) -> list[str]:
    """The relations that subjects of this one have as well, and whose answers it says nothing of.

    A mother tongue says what somebody speaks, and a place of birth of which country they are.
    """
    kinds = [relations for relations in _SUBJECTS if relation in relations]
    subjects = dict.fromkeys(other for relations in kinds for other in relations)
    answers = next((one for one in _ANSWERS if relation in one), [relation])
    return [other for other in subjects if other not in answers]


def labels_of(cases: Sequence[EditCase], names: Mapping[str, str]) -> Labels:
    """What the data says about the cases' prompts. `names` are the relations' by property."""
    subjects: dict[str, str] = {}
    relations: dict[str, str] = {}
    for case in cases:
        same = (probe.prompt for probe in case.same_subject)
        if case.subject:
            subjects |= dict.fromkeys((case.prompt, *case.paraphrases, *same), case.subject)
        if case.relation in names:
            relations[case.prompt] = names[case.relation]
    return Labels(subjects, relations)
