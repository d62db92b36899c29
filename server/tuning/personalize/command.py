"""What Personalize is told: the command, its rules, and the correction that it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from server.errors import InvalidRequest
from server.graph.checks import checked_concept, checked_relation
from server.graph.concept import Concept
from server.graph.relation import Vocabulary
from server.tuning.problem import Removal, Stopping
from server.tuning.scoring import ScoringBudget
from server.tuning.texts import object_text


class RelationSource(Enum):
    """Where H's relations come from when the caller names none."""

    GENERATED = "generated"
    RANKED = "ranked"


@dataclass(frozen=True, slots=True)
class PersonalizeRules:
    """The method's settings. A request may override all of them but `max_removed`."""

    k: int = 5
    epsilon: float | None = None
    stopping: Stopping = Stopping.ANSWER
    removal: Removal = Removal.CONFLICTING
    budget: ScoringBudget = field(default_factory=ScoringBudget)
    relation_source: RelationSource = RelationSource.GENERATED
    max_removed: int = 10


@dataclass(frozen=True, slots=True)
class PersonalizeCommand:
    """A query, the answer that the user wants to it, and how to get there."""

    user: str
    query: str
    answer: str
    subject: str | None = None
    object: str | None = None
    relations: tuple[str, ...] = ()
    answer_before: str | None = None
    preview: bool = False
    verify: bool = True
    rules: PersonalizeRules = field(default_factory=PersonalizeRules)


@dataclass(frozen=True, slots=True)
class Correction:
    """A command whose texts were checked, in the form that the method works with."""

    command: PersonalizeCommand
    feedback: str
    """a: the answer without outer blanks."""
    object: Concept
    """e_a: the caller's object, or the concept that the feedback names."""
    relations: tuple[str, ...]
    """The caller's relations; empty where the method has to find them."""


def checked(command: PersonalizeCommand, vocabulary: Vocabulary) -> Correction:
    """The correction that `command` asks for. Raises InvalidRequest."""
    object = _object(command)
    relations = [
        checked_relation(relation, f"relations[{number}]", vocabulary)
        for number, relation in enumerate(command.relations)
    ]
    return Correction(command, command.answer.strip(), object, tuple(dict.fromkeys(relations)))


def _object(command: PersonalizeCommand) -> Concept:
    if command.object is not None:
        return checked_concept(command.object, "object")
    try:
        return checked_concept(object_text(command.answer), "answer")
    except InvalidRequest as error:
        raise InvalidRequest(
            "answer", f"as an object it {error.description}; send the object too"
        ) from error
