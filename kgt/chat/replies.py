"""Replies in a line or two. What they leave out, `/why` shows."""

from __future__ import annotations

from collections.abc import Sequence

from kgt.command.telling import (
    fate_line,
    show_changes,
    show_doubts,
    show_learned,
    triple_text,
)
from kgt.output import Output
from kgt.v1 import personalization_pb2 as pb


def reply_facts(facts: Sequence[pb.Fact], output: Output) -> None:
    """What an answer rests on."""
    if facts:
        output.line(f"  from: {'; '.join(map(_fact, facts))}", "dim")


def _fact(fact: pb.Fact) -> str:
    triple, yours = fact.triple, " (yours)" if fact.origin == pb.ORIGIN_ADDED else ""
    return f"{triple.head} {triple.relation} {triple.tail}{yours}"


def reply_personalized(r: pb.PersonalizeResponse, output: Output) -> None:
    """What the question was answered with, and is now."""
    output.line(f"{r.answer_before or '(nothing)'} -> {r.answer_after or '(nothing)'}", "bold")
    if not r.edit.id:
        output.line("  nothing was changed", "dim")
    if r.explanation:
        output.line(f"  it did not take effect: {r.explanation}", "yellow")


def reply_learned(r: pb.LearnResponse, output: Output) -> None:
    """What was understood in a statement, and what was not."""
    for fact in r.facts:
        output.line(fate_line(fact), "bold")
        for triple in fact.removed:
            output.line(f"  removed: {triple_text(triple)}")
    show_doubts(r, output)


def changed_or_known(r: pb.LearnResponse) -> bool:
    """Whether a statement had a fact that holds now."""
    return bool(r.edit.id) or any(fact.fate == pb.FATE_KNOWN for fact in r.facts)


def show_learning(r: pb.LearnResponse, output: Output) -> None:
    """All that there is to say about a statement, with each triple's probabilities."""
    show_learned(r, output)
    show_changes(r.edit, output)
