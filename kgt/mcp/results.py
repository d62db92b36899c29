"""What the tools return. The descriptions are part of each tool's schema, for models to read."""

from __future__ import annotations

from pydantic import BaseModel, Field

from kgt.v1 import personalization_pb2 as pb


class Statement(BaseModel):
    """One statement: `subject` stands in `relation` to `object`."""

    subject: str
    relation: str
    object: str

    @classmethod
    def of(cls, triple: pb.Triple) -> Statement:
        return cls(subject=triple.head, relation=triple.relation, object=triple.tail)


class RecalledFact(BaseModel):
    """A fact that fits the question."""

    words: str = Field(description='the fact as the user says it: "my dog likes carrots"')
    personal: bool = Field(description="whether this user told it; else it is general knowledge")
    probability: float = Field(description="how probably the question is about it, from 0 to 1")
    edit_id: str = Field(description="the change that made it, for `undo`; empty if not personal")


class Recalled(BaseModel):
    """What is known that fits the question."""

    context: str = Field(description="all facts as one text; empty where nothing fits")
    facts: list[RecalledFact]


class Answered(BaseModel):
    """The memory's own answer."""

    text: str
    facts: list[Statement] = Field(description="what the answer rests on")


class Corrected(BaseModel):
    """What a correction changed."""

    edit_id: str = Field(description="the change, for `undo`; empty if nothing had to be changed")
    answer_before: str
    answer_after: str
    learned: bool = Field(description="whether the question now gets the new answer")
    added: list[Statement]
    removed: list[Statement]
    explanation: str = Field(description="why it was not learned; empty if it was")


class RememberedFact(BaseModel):
    """A fact in what the user said, and what became of it."""

    words: str = Field(description='the fact as the user says it: "my dog likes carrots"')
    source: str = Field(description="the part of the text that says it")
    fate: str = Field(
        description="learned; known: nothing to change; taken_back; not_there: the user had never"
        " said what was to be taken back; not_given_back: not kept, since it would not be recalled"
    )
    replaced: list[Statement] = Field(description="what no longer holds")


class Remembered(BaseModel):
    """What was learned from what the user said."""

    edit_id: str = Field(description="the change, for `undo`; empty if nothing was changed")
    facts: list[RememberedFact]
    not_understood: list[str] = Field(description="parts of the text that were not understood")


class KnownFact(BaseModel):
    """A fact that the user told or took back, or one of general knowledge."""

    statement: Statement
    status: str = Field(description="told, removed, or general")
    edit_id: str = Field(description="the change that did it, for `undo`; may be empty")


class Known(BaseModel):
    """A page of what is known."""

    facts: list[KnownFact]
    next_page: str = Field(description="pass it as `page` to go on; empty at the end")


class Undone(BaseModel):
    """What an undo restored."""

    edit_id: str = Field(description="the undo itself, which can be undone; empty if none was made")
    added: list[Statement]
    removed: list[Statement]


class Forgotten(BaseModel):
    """What was erased for good."""

    changes: int
    facts: int
