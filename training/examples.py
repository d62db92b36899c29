"""Examples of the three templates, drawn at random from the sources.

A *Question* is what a user could ask about a subject, with the relation that the answer hangs on.
From one question an example of each template can be written: the reasoning template (facts, then
the answer), the retrieval template (the relation's phrase) and the extraction template (K phrases).

Facts are listed in order of precedence and the first one that answers wins: a user's own fact
stands before a stale one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from server.graph.relation import Vocabulary
from server.tuning.templates import SEPARATOR, extraction_prompt, reasoning_prompt, retrieval_prompt
from training.sources import HELD_OUT_RELATIONS, Sources, is_held_out

Unseen = Literal["nothing", "subjects", "wordings", "relations"]
"""Which part of the data a question may come from: `nothing` is the training part."""

_MAX_VALUE_WORDS = 5


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what should follow it. `target` starts with a space; `closes` adds the
    end-of-text token."""

    kind: Literal["reasoning", "retrieval", "extraction", "plain"]
    prompt: str
    target: str
    closes: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that a user could ask, and what surrounds it in the graph."""

    query: str
    paraphrase: str
    subject: str
    phrase: str
    answer: str
    truth: str | None
    """The answer that holds without any personal fact, where it is known."""
    others: tuple[str, ...]
    """Verbalised facts about the subject that do not answer the query."""
    rivals: tuple[str, ...]
    """Other answers that the same relation could give."""
    related: tuple[str, ...]
    """Phrases of relations that one could also name, nearest first."""

    def fact(self, value: str, phrase: str | None = None) -> str:
        return f"{self.subject} {phrase or self.phrase} {value}"


class Writer:
    """Draws questions and writes examples from them, reproducibly for a seed."""

    def __init__(
        self, sources: Sources, vocabulary: Vocabulary, seed: int, unseen: Unseen = "nothing"
    ) -> None:
        self.sources = sources
        self.vocabulary = vocabulary
        self.unseen = unseen
        self.rng = random.Random(seed)
        self._related = {k: list(v) for k, v in sources.wordings["related"].items()}
        self._conceptnet = self._conceptnet_heads()
        self._tails = self._tails_by_relation()
        self._objects = {r: sorted({p.object for p in pairs}) for r, pairs in sources.pairs.items()}
        self._pairs = {
            r: [p for p in pairs if self._subject_allowed(p.subject)]
            for r, pairs in sources.pairs.items()
        }
        self._cases = [
            c
            for c in sources.counterfact
            if self._subject_allowed(c.subject) and self._relation_allowed(c.relation)
        ]
        self._by_subject_kind = {
            kind: [e for e in sources.everyday if kind in e.subjects]
            for kind in sources.subject_lists
        }

    # Questions

    def question(self) -> Question:
        """A question from one of the four sources, everyday ones most often."""
        draw = self.rng.random()
        if self.unseen == "wordings":
            draw *= 0.75  # ParaRel's and CounterFact's wordings are all trained on
        if draw < 0.45:
            question = self.everyday_question()
        elif draw < 0.75:
            question = self.conceptnet_question()
        elif draw < 0.87:
            question = self.pararel_question()
        else:
            question = self.counterfact_question()
        return self._restyled(question)

    def everyday_question(self) -> Question:
        """What people ask about their own people, things and dates."""
        intents = [
            e
            for e in self.sources.everyday
            if self._relation_allowed(e.relation) and self._asked(e.held_out)
        ]
        intent = self.rng.choice(intents)
        kind = self.rng.choice(intent.subjects)
        words = self.sources.subject_lists[kind]
        subject = self.rng.choice(words.unseen if self.unseen == "subjects" else words.seen)
        determiner = "" if subject.startswith("the ") else self.rng.choice(words.determiners)
        said = f"{determiner} {subject}".strip()
        values = self.sources.value_lists[self.rng.choice(intent.values)]
        answer, *rivals = self.rng.sample(values, min(4, len(values)))
        others = self._everyday_others(subject, kind, intent.relation) + self._conceptnet_others(
            subject, intent.relation
        )
        self.rng.shuffle(others)
        query, paraphrase = self._two(intent.forms, intent.held_out)
        return Question(
            query=fill(query, subject, said),
            paraphrase=fill(paraphrase, subject, said),
            subject=subject,
            phrase=self.vocabulary.phrase(intent.relation),
            answer=answer,
            truth=None,
            others=tuple(others),
            rivals=tuple(rivals + self._conceptnet_values(subject, intent.relation)),
            related=self._related_phrases(intent.relation, kind),
        )

    def conceptnet_question(self) -> Question:
        """What people ask about common things, with ConceptNet's facts around the subject."""
        head, relation = self.rng.choice(self._conceptnet)
        facts = self.sources.conceptnet[head]
        forms, held_out = self._conceptnet_forms(head, relation)
        query, paraphrase = self._two(forms, held_out)
        said = self._with_determiner(head)
        truth = facts[relation][0]
        counterfactual = self.rng.random() < 0.7
        answer = (
            self.rng.choice(self._tails[relation])
            if counterfactual
            else self.rng.choice(facts[relation])
        )
        rivals = [t for t in facts[relation] if t != answer][:4] or [
            self.rng.choice(self._tails[relation])
        ]
        return Question(
            query=self._maybe_plural(query, head, said),
            paraphrase=fill(paraphrase, head, said),
            subject=head,
            phrase=self.vocabulary.phrase(relation),
            answer=answer,
            truth=truth,
            others=tuple(self._conceptnet_others(head, relation)),
            rivals=tuple(rivals),
            related=self._related_phrases(relation, "thing"),
        )

    def pararel_question(self) -> Question:
        """What an encyclopaedia answers, with another object put in the true one's place."""
        relation = self.rng.choice(
            [r for r, pairs in self._pairs.items() if pairs and self._relation_allowed(r)]
        )
        pair = self.rng.choice(self._pairs[relation])
        forms = self._pararel_forms(relation)
        query, paraphrase = self.rng.choice(forms), self.rng.choice(forms)
        return self._encyclopaedic(
            relation,
            pair.subject,
            query.replace("{X}", pair.subject),
            paraphrase.replace("{X}", pair.subject),
            pair.object,
        )

    def counterfact_question(self) -> Question:
        """A CounterFact case: its prompt and its own, loose, paraphrase."""
        case = self.rng.choice(self._cases)
        question = self._encyclopaedic(
            case.relation, case.subject, case.prompt, case.paraphrase, case.target_true
        )
        if self.unseen != "nothing" or self.rng.random() < 0.5:
            question = replace(question, answer=case.target_new)
        if self.unseen == "nothing" and self.rng.random() < 0.5:
            question = replace(question, query=case.paraphrase, paraphrase=case.prompt)
        return question

    def _encyclopaedic(
        self, relation: str, subject: str, query: str, paraphrase: str, truth: str
    ) -> Question:
        objects = self._objects.get(relation) or self._objects["P19"]
        if relation == "P17":
            objects = self._objects["P495"]
        answer, *rivals = self.rng.sample(objects, 3)
        return Question(
            query=query,
            paraphrase=paraphrase,
            subject=subject,
            phrase=self.sources.wordings["pararel"][relation]["phrase"],
            answer=answer,
            truth=truth,
            others=tuple(self._pararel_others(subject, relation)),
            rivals=(truth, *rivals),
            related=self._related_phrases(relation, "person"),
        )

    # Examples

    def example(self) -> Example:
        """An example of one of the templates, in the proportions that training uses."""
        draw = self.rng.random()
        question = self.question()
        if draw < 0.54:
            return self.reasoning(question)
        if draw < 0.82:
            return self.retrieval(question)
        if draw < 0.94:
            return self.extraction(question)
        return self.plain()

    def reasoning(self, question: Question) -> Example:
        """The reasoning template with one right fact among 0 to 20 others."""
        draw = self.rng.random()
        if draw < 0.08 and question.truth is not None and question.others:
            facts = list(question.others[: self.rng.randint(1, 5)])
            return Example(
                "reasoning", reasoning_prompt(question.query, facts), f" {question.truth}"
            )
        facts = self.facts(
            question, others=self._how_many_others(), rivals=self.rng.choice((0, 0, 1, 1, 2, 3))
        )
        return Example("reasoning", reasoning_prompt(question.query, facts), f" {question.answer}")

    def facts(
        self, question: Question, others: int, rivals: int, *, first: bool | None = None
    ) -> list[str]:
        """The right fact, `others` facts that do not answer and `rivals` that would, behind the
        right one."""
        phrase = question.phrase
        if self.unseen == "nothing" and question.related and self.rng.random() < 0.12:
            phrase = self.rng.choice(question.related[:3])
        right = question.fact(question.answer, phrase)
        behind = [question.fact(r) for r in question.rivals if r != question.answer][:rivals]
        rest = self.rng.sample(question.others, min(others, len(question.others)))
        at = (
            0
            if first or (first is None and self.rng.random() < 0.5)
            else self.rng.randint(0, len(rest))
        )
        tail = rest[at:] + behind
        self.rng.shuffle(tail)
        return [*rest[:at], right, *tail]

    def retrieval(self, question: Question) -> Example:
        """The retrieval template and the phrase of the relation that answers."""
        return Example(
            "retrieval",
            retrieval_prompt(question.query, question.subject),
            f" {question.phrase}",
            closes=False,
        )

    def extraction(self, question: Question) -> Example:
        """The extraction template and K phrases, the right one first."""
        k = self.rng.choice((5, 5, 5, 5, 5, 5, 5, 3, 2, 1, 4, 6))
        phrases = [question.phrase, *question.related][:k]
        prompt = extraction_prompt(
            question.query, question.answer, question.subject, question.answer, k
        )
        return Example("extraction", prompt, " " + f" {SEPARATOR} ".join(phrases))

    def plain(self) -> Example:
        """A true sentence or question without any facts, so that what the model knew stays known."""
        if self.rng.random() < 0.3:
            question = self.conceptnet_question()
            return Example("plain", question.query, f" {question.truth}")
        relation = self.rng.choice(
            [r for r, pairs in self._pairs.items() if pairs and self._relation_allowed(r)]
        )
        pair = self.rng.choice(self._pairs[relation])
        form = self.rng.choice(self._pararel_forms(relation)).replace("{X}", pair.subject)
        return Example("plain", form, f" {pair.object}")

    def examples(self, count: int) -> Iterator[Example]:
        for _ in range(count):
            yield self.example()

    # What surrounds a subject

    def _conceptnet_others(self, subject: str, relation: str) -> list[str]:
        facts = [
            f"{subject} {self.vocabulary.phrase(r)} {tail}"
            for r, tails in self.sources.conceptnet.get(
                subject.split()[-1] if subject not in self.sources.conceptnet else subject, {}
            ).items()
            if r != relation and r not in _NEAR.get(relation, ()) and r in self.vocabulary
            for tail in tails[:4]
        ]
        self.rng.shuffle(facts)
        return facts[:20]

    def _conceptnet_values(self, subject: str, relation: str) -> list[str]:
        return self.sources.conceptnet.get(subject, {}).get(relation, [])[:3]

    def _everyday_others(self, subject: str, kind: str, relation: str) -> list[str]:
        intents = [
            e
            for e in self._by_subject_kind[kind]
            if e.relation != relation and e.relation not in _NEAR.get(relation, ())
        ]
        facts = []
        for intent in self.rng.sample(intents, min(self.rng.randint(1, 6), len(intents))):
            values = self.sources.value_lists[self.rng.choice(intent.values)]
            facts.append(
                f"{subject} {self.vocabulary.phrase(intent.relation)} {self.rng.choice(values)}"
            )
        return facts

    def _pararel_others(self, subject: str, relation: str) -> list[str]:
        pararel = self.sources.wordings["pararel"]
        candidates = [
            r for r in self._objects if pararel[r]["phrase"] != pararel[relation]["phrase"]
        ]
        candidates = [
            r
            for r in candidates
            if (_PARAREL_GROUP.get(r) == _PARAREL_GROUP.get(relation))
            and r not in _PARAREL_NEAR.get(relation, ())
        ]
        chosen = self.rng.sample(candidates, min(len(candidates), self.rng.randint(2, 12)))
        return [
            f"{subject} {pararel[r]['phrase']} {self.rng.choice(self._objects[r])}" for r in chosen
        ]

    def _related_phrases(self, relation: str, kind: str) -> tuple[str, ...]:
        if relation in self._related:
            names: Sequence[str] = self._related[relation]
        elif relation in _TIMES:
            names = self._related["time"]
        elif kind in ("shops", "events", "countries list", "trips", "rooms"):
            names = self._related["place"]
        elif kind in ("person", "relatives", "people", "professions", "pets", "famous people"):
            names = self._related["person"]
        else:
            names = self._related["thing"]
        return tuple(self.vocabulary.phrase(n) for n in names if n != relation)

    def _how_many_others(self) -> int:
        draw = self.rng.random()
        if draw < 0.15:
            return 0
        if draw < 0.65:
            return self.rng.randint(1, 3)
        if draw < 0.93:
            return self.rng.randint(3, 7)
        return self.rng.randint(8, 19)

    # Wordings

    def _two(self, forms: Sequence[str], held_out: Sequence[str]) -> tuple[str, str]:
        if self.unseen == "wordings":
            return self.rng.choice(forms), self.rng.choice(held_out)
        if len(forms) == 1:
            return forms[0], forms[0]
        first, second = self.rng.sample(forms, 2)
        return first, second

    def _conceptnet_forms(self, head: str, relation: str) -> tuple[Sequence[str], Sequence[str]]:
        entry = self.sources.wordings["conceptnet"][relation]
        nouns, verbs = entry.get("nouns", ()), entry.get("verbs", ())
        forms = verbs if verbs and (not nouns or _is_verb_phrase(head, self._verbs)) else nouns
        return forms, entry.get("held_out", ())

    def _pararel_forms(self, relation: str) -> list[str]:
        return [
            *self.sources.patterns.get(relation, ()),
            *self.sources.wordings["pararel"][relation]["forms"],
        ]

    def _with_determiner(self, head: str) -> str:
        if " " in head and _is_verb_phrase(head, self._verbs):
            return head
        return self.rng.choice(
            (
                f"a {head}" if head[0] not in "aeiou" else f"an {head}",
                f"the {head}",
                f"my {head}",
                head,
                f"our {head}",
            )
        )

    def _maybe_plural(self, form: str, head: str, said: str) -> str:
        if re.fullmatch(r"[a-z]{3,}[^sxyh]", head) and self.rng.random() < 0.2:
            changed = re.sub(r"\bdoes \{S\}", "do {S}", form)
            changed = re.sub(r"\bis \{S\}", "are {S}", changed)
            if changed != form:
                return fill(changed, head, f"{head}s")
        return fill(form, head, said)

    def _restyled(self, question: Question) -> Question:
        """`question` as people type: sometimes lower case, without a question mark, or with a few
        polite words."""
        draw = self.rng.random()
        query = question.query
        if draw < 0.06:
            query = query.lower()
        elif draw < 0.12:
            query = query.rstrip("?.")
        elif draw < 0.16:
            query = (
                self.rng.choice(
                    ("Hey, ", "Hi! ", "Please tell me: ", "Quick question: ", "Hello. ", "So, ")
                )
                + query
            )
        elif draw < 0.18:
            query = query.rstrip("?.") + ", please?"
        return replace(question, query=query)

    # The parts

    def _subject_allowed(self, subject: str) -> bool:
        return is_held_out(subject) == (self.unseen == "subjects")

    def _relation_allowed(self, relation: str) -> bool:
        return (relation in HELD_OUT_RELATIONS) == (self.unseen == "relations")

    def _asked(self, held_out: Sequence[str]) -> bool:
        return self.unseen != "wordings" or bool(held_out)

    def _conceptnet_heads(self) -> list[tuple[str, str]]:
        asked = self.sources.wordings["conceptnet"]
        graph = self.sources.conceptnet
        pairs = [
            (head, relation)
            for head, facts in graph.items()
            if self._subject_allowed(head)
            for relation in facts
            if relation in asked
            and self._relation_allowed(relation)
            and self._asked(asked[relation].get("held_out", ()))
        ]
        # Well-known heads more often: they have the crowded neighborhoods that answers must be
        # found in.
        return [pair for pair in pairs for _ in range(min(6, len(graph[pair[0]])))]

    def _tails_by_relation(self) -> dict[str, list[str]]:
        tails: dict[str, list[str]] = {}
        verbs: dict[str, int] = {}
        for head, facts in self.sources.conceptnet.items():
            for relation, values in facts.items():
                tails.setdefault(relation, []).extend(values)
                if relation in _VERB_RELATIONS:
                    verbs[head.split()[0]] = verbs.get(head.split()[0], 0) + 1
        self._verbs = frozenset(v for v, n in verbs.items() if n >= 3)
        return tails


_VERB_RELATIONS = frozenset(
    {"HasFirstSubevent", "HasLastSubevent", "HasPrerequisite", "MotivatedByGoal", "HasSubevent"}
)
_TIMES = frozenset(
    {"takes place on", "starts at", "ends at", "lasts", "was born on", "happened in", "is aged"}
)
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
"""Relations whose facts could pass for an answer to a question about another one: never put among
its distractors."""

_PERSON = (
    "P101",
    "P103",
    "P106",
    "P108",
    "P1303",
    "P136",
    "P140",
    "P1412",
    "P19",
    "P20",
    "P27",
    "P39",
    "P413",
    "P463",
    "P937",
    "P264",
)
_PLACE = (
    "P1376",
    "P17",
    "P131",
    "P276",
    "P190",
    "P30",
    "P36",
    "P37",
    "P47",
    "P530",
    "P138",
    "P279",
)
_PRODUCT = ("P127", "P159", "P176", "P178", "P364", "P407", "P449", "P495", "P740")
_PARAREL_GROUP = {
    r: g for g, rs in (("person", _PERSON), ("place", _PLACE), ("product", _PRODUCT)) for r in rs
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


def _is_verb_phrase(head: str, verbs: frozenset[str]) -> bool:
    return head.split()[0] in verbs


def _gerund(phrase: str) -> str:
    verb, _, rest = phrase.partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1] + "ing"
    elif re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", verb):
        verb = verb + verb[-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".strip()


def fill(form: str, subject: str, said: str) -> str:
    form = form.replace("{S}", said).replace("{s}", subject).replace("{ing}", _gerund(subject))
    return (
        form[0].upper() + form[1:]
        if form[:1].islower()
        and not form.startswith(("what", "where", "how", "which", "who", "when", "in "))
        else form
    )
