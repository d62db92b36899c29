"""Draws what people tell an assistant, with the facts in it, for the learning template's adapter.

The messages that were written as such (training/messages.jsonl and training/said) come as they are,
or with a sentence around them that states nothing. The others are made of the kinds' statements.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from training.examples import Example, learning_example, listed
from training.kinds import Kind, filled, filled_head, read_kinds
from training.messages import Message, read_messages
from training.parts import Part
from training.sources import is_held_out

FOLDER = Path(__file__).parent / "said"
HELD_OUT_MESSAGES = 0.08
"""So many of the written messages are never trained on."""
_OF_THE_WORLD = ("f_public_people", "g_world")
"""Kinds of what everybody may know: a message that states it has no fact of the user's."""
_UNKNOWN = "I don't know"

_OPENINGS = (
    "Just so you know, ",
    "By the way, ",
    "FYI, ",
    "hey, ",
    "So, ",
    "Hi! ",
    "Oh, and ",
    "Please remember: ",
    "Note that ",
    "Update: ",
)
_JOINS = (". ", ". ", ". Also, ", " and ", ", and ", "; ", ". By the way, ", ", but ")
_FORGETTING = (
    "Forget that {s}.",
    "Please forget that {s}.",
    "It's no longer true that {s}.",
    "It isn't true any more that {s}.",
    "Delete the note that {s}.",
    "I was wrong to say that {s}.",
    "Scrap what I said: {s}.",
    "You can drop the fact that {s}.",
    "Remove that {s}",
    "please don't remember that {s}",
)
_CORRECTIONS = (
    "No, {b}.",
    "no, it's {b}",
    "{b}",
    "It's {b} now.",
    "Not any more, it's {b}.",
    "That's wrong, {b}.",
    "Not {a}, {b}!",
    "It was {a}, these days it's {b}.",
    "Wrong. {b}.",
    "You mixed that up: {b}.",
    "No, not {a}. {b}.",
    "that changed to {b}",
)
_ANSWERS = ("{b}", "{b}.", "It's {b}.", "That would be {b}.", "{b}, please remember that.")
_ENDINGS = (
    "Not any more.",
    "That's no longer true.",
    "Forget that.",
    "please forget that",
    "No, that's over.",
    "not true any longer",
    "No longer!",
    "Remove that, please.",
)
_REACTIONS = (
    "Thanks!",
    "ok",
    "Are you sure?",
    "Right, thank you.",
    "How do you know?",
    "Good.",
    "Hm, interesting.",
    "Great, that's all.",
    "Who told you that?",
    "Perfect, thanks a lot.",
    "And what does that mean?",
    "yes",
    "Exactly.",
    "lol ok",
)


def written(*, held_out: bool) -> list[Message]:
    """The written messages that are trained on, or those that are kept from it."""
    paths = sorted(FOLDER.glob("*.jsonl"))
    messages = read_messages() + [m for path in paths for m in read_messages(path)]
    return [m for m in messages if is_held_out(f"said {m.text}", HELD_OUT_MESSAGES) == held_out]


class Statements:
    """Draws messages, reproducibly for a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._written = written(held_out=False)
        self._empty = [m for m in self._written if not m.facts and not m.context]
        self._part = Part("nothing")
        kinds = [k for k in read_kinds() if self._part.has_kind(k) and not _is_of_the_world(k)]
        self._kinds = [kind for kind in kinds if not kind.several]
        self._of_several = [kind for kind in kinds if kind.several]
        self._ways: list[tuple[int, Callable[[], Message]]] = [
            (50, lambda: self._rng.choice(self._written)),
            (8, self._surrounded),
            (22, self._stated),
            (5, self._several),
            (4, self._forgotten),
            (11, self._replied),
        ]
        """How many of 100 messages are made in which way."""

    def examples(self, count: int) -> Iterator[Example]:
        """Examples of the learning template."""
        for _ in range(count):
            yield learning_example(self.message())

    def message(self) -> Message:
        """Any message."""
        weights, ways = zip(*self._ways, strict=True)
        (way,) = self._rng.choices(range(len(ways)), weights)
        message: Message = ways[way]()
        return message

    def _surrounded(self) -> Message:
        """A written message with a sentence before or after it that states nothing."""
        message, other = self._rng.choice(self._written), self._rng.choice(self._empty)
        if message.context or len(message.text) + len(other.text) > 300:
            return message
        both = [_ended(message.text), _ended(other.text)]
        self._rng.shuffle(both)
        return Message(" ".join(both), message.facts)

    def _stated(self) -> Message:
        """One to three sentences that state a fact each."""
        text, facts = "", []
        for number in range(self._rng.choice((1, 1, 1, 1, 2, 2, 3))):
            sentence, fact = self._statement()
            join = self._rng.choice(_JOINS) if number else ""
            text += join + (_begun_small(sentence) if join and join != ". " else sentence)
            facts.append(fact)
        if self._rng.random() < 0.2:
            text = self._rng.choice(_OPENINGS) + _begun_small(text)
        if self._rng.random() < 0.85:
            text = _ended(text)
        return self._in_small_letters(Message(text, tuple(dict.fromkeys(facts))))

    def _statement(self) -> tuple[str, str]:
        kind, subject = self._kind(self._kinds)
        answer = self._rng.choice(kind.answers)
        sentence = filled(self._rng.choice(kind.statements).replace("{a}", answer), subject)
        return sentence.rstrip("."), _line("+", kind, subject, answer)

    def _several(self) -> Message:
        """A sentence with several values: a fact each."""
        kind, subject = self._kind(self._of_several)
        values = self._rng.sample(kind.answers, self._rng.choice((2, 2, 3)))
        sentence = self._rng.choice(kind.statements).replace("{a}", listed(values))
        facts = tuple(_line("+", kind, subject, value) for value in values)
        return self._in_small_letters(Message(filled(sentence, subject), facts))

    def _forgotten(self) -> Message:
        """A sentence that is to be forgotten."""
        sentence, fact = self._statement()
        frame = self._rng.choice(_FORGETTING)
        return Message(frame.replace("{s}", _begun_small(sentence)), (f"-{fact[1:]}",))

    def _replied(self) -> Message:
        """A reply to what was asked and answered before."""
        kind, subject = self._kind(self._kinds)
        old, new = self._rng.sample(kind.answers, 2)
        questions = [wording for wording in kind.asked if wording.endswith("?")] or kind.asked
        question = filled(self._rng.choice(questions), subject)
        went, came = _line("-", kind, subject, old), _line("+", kind, subject, new)
        draw = self._rng.random()
        facts: tuple[str, ...] = (went, came)
        if draw < 0.2:
            reply, facts, old = self._rng.choice(_ANSWERS), (came,), _UNKNOWN
        elif draw < 0.6:
            reply = self._rng.choice(_CORRECTIONS)
        elif draw < 0.75:
            reply, facts = self._rng.choice(_ENDINGS), (went,)
        elif draw < 0.85:
            sentence = self._rng.choice(kind.statements)
            reply = f"No, {_begun_small(filled(sentence, subject))}".replace("{a}", "{b}")
        else:
            reply, facts = self._rng.choice(_REACTIONS), ()
        text = reply.replace("{a}", old).replace("{b}", new)
        return Message(text, facts, f"Q: {question} A: {old}")

    def _kind(self, kinds: Sequence[Kind]) -> tuple[Kind, str]:
        kind = self._rng.choice(kinds)
        subjects = self._part.subjects_of(kind) if kind.subjects else [""]
        return kind, self._rng.choice(subjects)

    def _in_small_letters(self, message: Message) -> Message:
        """Now and then, as people type."""
        if self._rng.random() > 0.12:
            return message
        facts = (re.sub(r"^(.) i \|", r"\1 I |", fact.lower()) for fact in message.facts)
        return Message(message.text.lower().rstrip("."), tuple(facts))


def _is_of_the_world(kind: Kind) -> bool:
    return kind.topic.startswith(_OF_THE_WORLD)


def _line(sign: str, kind: Kind, subject: str, value: str) -> str:
    return f"{sign} {filled_head(kind, subject)} | {kind.relation} | {value}"


def _ended(text: str) -> str:
    return text if text[-1] in ".!?…" else f"{text}."


def _begun_small(sentence: str) -> str:
    """A sentence as it goes on after other words; names and "I" keep their capital."""
    first, _, rest = sentence.partition(" ")
    if first in ("My", "Our", "We", "The", "In", "At", "On", "There", "A", "This", "It", "From"):
        return f"{first.lower()} {rest}"
    return sentence
