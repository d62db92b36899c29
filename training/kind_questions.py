"""Draws questions, facts and near misses from the kinds."""

from __future__ import annotations

import random
from collections.abc import Collection

from training.kinds import Kind, filled, filled_head, plain, read_kinds, unowned
from training.parts import Part
from training.question import NearOrOwn, Question


class KindQuestions:
    """Draws from the kinds of one part of the data."""

    def __init__(self, part: Part, rng: random.Random, elsewhere: Collection[str]) -> None:
        """`elsewhere` has the phrases and the plain forms that the other sources train on."""
        self._part = part
        self._rng = rng
        self._elsewhere = elsewhere
        trained = Part("nothing")
        everything = read_kinds()
        self._trained = [kind for kind in everything if trained.has_kind(kind)]
        """Other facts are drawn from these, whatever the part."""
        self.kinds = [k for k in everything if part.has_kind(k) and not self._is_seen_elsewhere(k)]
        """The kinds of this part."""

    def _is_seen_elsewhere(self, kind: Kind) -> bool:
        """Whether that of the kind which this part takes for unseen is trained on all the same."""
        if self._part.unseen == "wordings":
            return not self._held_out(kind)
        if self._part.unseen == "relations":
            phrases = {*self._elsewhere, *(trained.relation for trained in self._trained)}
            return kind.relation in phrases or any(map(self._is_asked_elsewhere, kind.wordings))
        return False

    def _is_asked_elsewhere(self, wording: str) -> bool:
        return plain(wording) in self._elsewhere

    def _held_out(self, kind: Kind) -> list[str]:
        """The kind's wordings that nothing is trained on."""
        return [w for w in kind.held_out if not self._is_asked_elsewhere(w)]

    def draw(self) -> Question:
        """What people ask about themselves, each other, and the world."""
        kind, subject = self.stated()
        head = filled_head(kind, subject)
        answer, *rivals = self._rng.sample(kind.answers, 4)
        query, paraphrase = self._rng.sample(kind.asked, 2)
        if self._part.unseen == "wordings":
            paraphrase = self._rng.choice(self._held_out(kind))
        near = self._near_kinds(kind)
        return Question(
            query=filled(query, subject),
            paraphrase=filled(paraphrase, subject),
            subject=unowned(head),
            phrase=kind.relation,
            answer=answer,
            truth=None,
            others=tuple(self._fact(other, subject) for other in near),
            rivals=tuple(rivals),
            related=tuple(dict.fromkeys(other.relation for other in near)),
            said=head,
        )

    def near_or_own(self) -> NearOrOwn:
        """A kind's fact, and a query that it answers, or one that only looks alike."""
        kind, subject = self.stated()
        answer = self._rng.choice(kind.answers)
        fact = f"{filled_head(kind, subject)} {kind.relation} {answer}"
        others = tuple(self.others_of(kind, subject))
        draw = self._rng.random()
        if draw < 0.7:
            wording = self._rng.choice(kind.asked)
            return NearOrOwn(filled(wording, subject), fact, answer, others)
        query = filled(self._rng.choice(kind.near), subject)
        rest = [s for s in self.subjects_of(kind) if s != subject]
        if draw < 0.80 and rest:
            query = filled(self._rng.choice(kind.asked), self._rng.choice(rest))
        elif draw < 0.85:
            neighbors = self._near_kinds(kind)
            if neighbors:
                query = filled(self._rng.choice(neighbors[0].asked), subject)
        return NearOrOwn(query, fact, None, ())

    def several(self) -> tuple[Kind, str, list[str]]:
        """A kind that asks for several values, its subject, and values of it."""
        kind = self._rng.choice([kind for kind in self.kinds if kind.several])
        values = self._rng.sample(kind.answers, self._rng.choice((2, 2, 3, 3, 4)))
        return kind, self.subject_of(kind), values

    def stated(self) -> tuple[Kind, str]:
        """A kind whose statements name one value, and its subject."""
        kind = self._rng.choice([kind for kind in self.kinds if not kind.several])
        return kind, self.subject_of(kind)

    def subjects_of(self, kind: Kind) -> list[str]:
        """The kind's subjects in this part."""
        return self._part.subjects_of(kind)

    def subject_of(self, kind: Kind) -> str:
        """One of the kind's subjects in this part; nothing for a kind that is about the user."""
        return self._rng.choice(self.subjects_of(kind)) if kind.subjects else ""

    def others_of(self, kind: Kind, subject: str) -> list[str]:
        """Facts of other kinds about the same subject, or about the user."""
        return [self._fact(other, subject) for other in self._near_kinds(kind)]

    def _near_kinds(self, kind: Kind) -> list[Kind]:
        alike = [
            other
            for other in self._trained
            if other.topic == kind.topic
            and bool(other.subjects) == bool(kind.subjects)
            and other.relation != kind.relation
        ]
        return self._rng.sample(alike, min(len(alike), self._rng.randint(4, 10)))

    def _fact(self, kind: Kind, subject: str) -> str:
        return f"{filled_head(kind, subject)} {kind.relation} {self._rng.choice(kind.answers)}"
