"""Draws questions that a user could ask, each with its answer and what surrounds it.

A question comes from one of five sources: the kinds and the everyday wordings, both written for
this project, ConceptNet, ParaRel and CounterFact.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from server.graph.relation import Vocabulary
from training.kind_questions import KindQuestions
from training.kinds import plain
from training.parts import Part, Unseen
from training.question import Question
from training.sources import HELD_OUT_RELATIONS, CounterFactCase, Pair, Sources
from training.surroundings import Surroundings
from training.wordings import (
    fill,
    maybe_plural,
    restyled,
    starts_with_verb,
    two_of,
    with_determiner,
)

_COUNTERFACTUAL = 0.7
"""So many of ConceptNet's questions are answered with another head's value."""
_COMMON_VERB = 3
"""Heads that must start with a word before it counts as a verb."""
_MOST_WEIGHT = 6
_TRAINED = (0.35, 0.60, 0.80, 0.90, 1.0)
"""Up to which draw a question comes from the kinds, from the everyday wordings, ConceptNet, ParaRel
and CounterFact."""
_WITHOUT_KINDS = (0.0, 0.45, 0.75, 0.87, 1.0)
"""The same where no question comes from the kinds."""


class Questions:
    """Draws questions from one part of the data. The same generator draws the same questions."""

    def __init__(
        self, sources: Sources, vocabulary: Vocabulary, rng: random.Random, unseen: Unseen
    ) -> None:
        self._sources = sources
        self._vocabulary = vocabulary
        self._rng = rng
        self._part = Part(unseen)
        self._around = Surroundings(sources, vocabulary, rng)
        self._verbs = _verbs(sources)
        self._tails = _tails_by_relation(sources)
        self._heads = self._weighted_heads()
        self._pairs = {relation: self._allowed_pairs(relation) for relation in sources.pairs}
        self._cases = [case for case in sources.counterfact if self._is_allowed(case)]
        self.of_kinds = KindQuestions(self._part, rng, _trained_on(sources, vocabulary))
        """Draws from the kinds, which have more than questions."""

    def draw(self) -> Question:
        """A question from one of the five sources, most often of one of the kinds."""
        return self._drawn(_TRAINED)

    def draw_without_kinds(self) -> Question:
        """A question from one of the other four sources, most often an everyday one."""
        return self._drawn(_WITHOUT_KINDS)

    def draw_of_kinds(self) -> Question:
        """A question of one of the kinds."""
        return self._restyled(self.of_kinds.draw())

    def _drawn(self, up_to: Sequence[float]) -> Question:
        draw = self._rng.random()
        if self._part.unseen == "wordings":
            draw *= up_to[2]  # all of ParaRel's and CounterFact's wordings are trained on
        reference = (self.everyday, self.conceptnet, self.pararel, self.counterfact)
        return self._restyled((self.of_kinds.draw, *reference)[bisect_right(up_to, draw)]())

    def _restyled(self, question: Question) -> Question:
        return replace(question, query=restyled(question.query, self._rng))

    def everyday(self) -> Question:
        """What people ask about their own people, things and dates."""
        intents = [
            e
            for e in self._sources.everyday
            if self._part.has_relation(e.relation) and self._part.has_wording(e.held_out)
        ]
        intent = self._rng.choice(intents)
        relation = intent.relation
        # The subject, and how it is said
        kind = self._rng.choice(intent.subjects)
        words = self._sources.subject_lists[kind]
        unseen = self._part.unseen == "subjects"
        subject = self._rng.choice(words.unseen if unseen else words.seen)
        determiner = "" if subject.startswith("the ") else self._rng.choice(words.determiners)
        said = f"{determiner} {subject}".strip()
        # The answer, its rivals, and other facts
        values = self._sources.value_lists[self._rng.choice(intent.values)]
        answer, *rivals = self._rng.sample(values, min(4, len(values)))
        others = self._around.everyday_facts(subject, kind, relation)
        others += self._around.conceptnet_facts(subject, relation)
        self._rng.shuffle(others)
        query, paraphrase = self._two(intent.forms, intent.held_out)
        return Question(
            query=fill(query, subject, said),
            paraphrase=fill(paraphrase, subject, said),
            subject=subject,
            phrase=self._vocabulary.phrase(relation),
            answer=answer,
            truth=None,
            others=tuple(others),
            rivals=(*rivals, *self._around.conceptnet_values(subject, relation)),
            related=self._around.related_phrases(relation, kind),
        )

    def conceptnet(self) -> Question:
        """What people ask about common things, with ConceptNet's facts around the subject."""
        head, relation = self._rng.choice(self._heads)
        values = self._sources.conceptnet[head][relation]
        # The wording
        query, paraphrase = self._two(*self._conceptnet_forms(head, relation))
        said = head
        if " " not in head or not starts_with_verb(head, self._verbs):
            said = with_determiner(head, self._rng)
        # The answer and its rivals
        counterfactual = self._rng.random() < _COUNTERFACTUAL
        answer = self._rng.choice(self._tails[relation] if counterfactual else values)
        rivals = [value for value in values if value != answer][:4]
        if not rivals:
            rivals = [self._rng.choice(self._tails[relation])]
        return Question(
            query=maybe_plural(query, head, said, self._rng),
            paraphrase=fill(paraphrase, head, said),
            subject=head,
            phrase=self._vocabulary.phrase(relation),
            answer=answer,
            truth=values[0],
            others=tuple(self._around.conceptnet_facts(head, relation)),
            rivals=tuple(rivals),
            related=self._around.related_phrases(relation, "thing"),
        )

    def pararel(self) -> Question:
        """What an encyclopaedia answers, with another object in place of the true one."""
        pair = self._pair()
        forms = _pararel_forms(self._sources, pair.relation)
        query, paraphrase = self._rng.choice(forms), self._rng.choice(forms)
        return self._encyclopaedic(
            pair.relation,
            pair.subject,
            query.replace("{X}", pair.subject),
            paraphrase.replace("{X}", pair.subject),
            pair.object,
        )

    def pararel_truth(self) -> tuple[str, str]:
        """A cloze and its true object."""
        pair = self._pair()
        form = self._rng.choice(_pararel_forms(self._sources, pair.relation))
        return form.replace("{X}", pair.subject), pair.object

    def counterfact(self) -> Question:
        """A CounterFact case: its prompt and its own, loose, paraphrase."""
        trained_on = self._part.unseen == "nothing"
        case = self._rng.choice(self._cases)
        question = self._encyclopaedic(
            case.relation, case.subject, case.prompt, case.paraphrase, case.target_true
        )
        if not trained_on or self._rng.random() < 0.5:
            question = replace(question, answer=case.target_new)
        if trained_on and self._rng.random() < 0.5:
            question = replace(question, query=case.paraphrase, paraphrase=case.prompt)
        return question

    def _encyclopaedic(
        self, relation: str, subject: str, query: str, paraphrase: str, truth: str
    ) -> Question:
        objects = self._around.objects
        candidates = objects.get("P495" if relation == "P17" else relation) or objects["P19"]
        answer, *rivals = self._rng.sample(candidates, 3)
        return Question(
            query=query,
            paraphrase=paraphrase,
            subject=subject,
            phrase=self._sources.wordings["pararel"][relation]["phrase"],
            answer=answer,
            truth=truth,
            others=tuple(self._around.pararel_facts(subject, relation)),
            rivals=(truth, *rivals),
            related=self._around.related_phrases(relation, "person"),
        )

    def _pair(self) -> Pair:
        relations = [r for r, pairs in self._pairs.items() if pairs and self._part.has_relation(r)]
        return self._rng.choice(self._pairs[self._rng.choice(relations)])

    # Wordings

    def _two(self, forms: Sequence[str], held_out: Sequence[str]) -> tuple[str, str]:
        if self._part.unseen == "wordings":
            return self._rng.choice(forms), self._rng.choice(held_out)
        return two_of(forms, self._rng)

    def _conceptnet_forms(self, head: str, relation: str) -> tuple[Sequence[str], Sequence[str]]:
        entry = self._sources.wordings["conceptnet"][relation]
        nouns, verbs = entry.get("nouns", ()), entry.get("verbs", ())
        is_action = verbs and (not nouns or starts_with_verb(head, self._verbs))
        return verbs if is_action else nouns, entry.get("held_out", ())

    # What is drawn from

    def _weighted_heads(self) -> list[tuple[str, str]]:
        """(head, relation) pairs, well-known heads more often.

        They have the crowded neighborhoods that answers must be found in.
        """
        weighted = []
        for head, facts in self._sources.conceptnet.items():
            if self._part.has_subject(head):
                for relation in filter(self._is_asked, facts):
                    weighted += [(head, relation)] * min(_MOST_WEIGHT, len(facts))
        return weighted

    def _is_asked(self, relation: str) -> bool:
        """Whether ConceptNet's relation is asked about in this part."""
        asked = self._sources.wordings["conceptnet"]
        return (
            relation in asked
            and self._part.has_relation(relation)
            and self._part.has_wording(asked[relation].get("held_out", ()))
        )

    def _allowed_pairs(self, relation: str) -> list[Pair]:
        return [p for p in self._sources.pairs[relation] if self._part.has_subject(p.subject)]

    def _is_allowed(self, case: CounterFactCase) -> bool:
        return self._part.has_subject(case.subject) and self._part.has_relation(case.relation)


_VERB_RELATIONS = frozenset(
    {"HasFirstSubevent", "HasLastSubevent", "HasPrerequisite", "MotivatedByGoal", "HasSubevent"}
)


def _verbs(sources: Sources) -> frozenset[str]:
    """Words that actions start with, judging by the relations between actions."""
    first: Counter[str] = Counter()
    for head, facts in sources.conceptnet.items():
        first[head.split()[0]] += sum(relation in _VERB_RELATIONS for relation in facts)
    return frozenset(word for word, count in first.items() if count >= _COMMON_VERB)


def _tails_by_relation(sources: Sources) -> dict[str, list[str]]:
    tails: dict[str, list[str]] = {}
    for facts in sources.conceptnet.values():
        for relation, values in facts.items():
            tails.setdefault(relation, []).extend(values)
    return tails


def _trained_on(sources: Sources, vocabulary: Vocabulary) -> set[str]:
    """The phrases and the plain forms that are trained on, apart from those of the kinds."""
    phrases, forms = set(), []
    for relation, entry in sources.wordings["conceptnet"].items():
        if relation not in HELD_OUT_RELATIONS:
            phrases.add(vocabulary.phrase(relation))
            forms += [*entry.get("nouns", ()), *entry.get("verbs", ())]
    for intent in sources.everyday:
        if intent.relation not in HELD_OUT_RELATIONS:
            phrases.add(vocabulary.phrase(intent.relation))
            forms += intent.forms
    for relation, entry in sources.wordings["pararel"].items():
        if relation not in HELD_OUT_RELATIONS:
            phrases.add(entry["phrase"])
            forms += _pararel_forms(sources, relation)
    return phrases | {plain(re.sub(r"\{[sX]\}", "{S}", form)) for form in forms}


def _pararel_forms(sources: Sources, relation: str) -> list[str]:
    own = sources.wordings["pararel"][relation]["forms"]
    return [*sources.patterns.get(relation, ()), *own]
