"""Responses as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kgt.errors import CallError
from kgt.output import Output, moment
from kgt.v1 import personalization_pb2 as pb


def show_personalize(r: pb.PersonalizeResponse, output: Output) -> None:
    """What a Personalize changed, and why."""
    output.line(f"{r.answer_before or '(nothing)'} -> {r.answer_after or '(nothing)'}", "bold")
    show_changes(r.edit, output)
    if r.HasField("loss_before"):
        before, after = math.exp(r.answer_logprob_before), math.exp(r.answer_logprob_after)
        output.line(f"loss (Eq. 7) {_number(r.loss_before)} -> {_number(r.loss_after)}")
        output.line(f"P(answer|q) (Eq. 1) {before:.3f} -> {after:.3f}")
    reason = enum_text(pb.StopReason.Name, r.stop_reason, "STOP_REASON_")
    edit = f", edit {r.edit.id}" if r.edit.id else ""
    output.line(f"subject {r.subject.concept!r}, stopped: {reason}, {_outcome(r)}{edit}")
    if r.explanation:
        output.line(f"not converged: {r.explanation}", "yellow")
    output.line(cost_line(r.cost), "dim")


def _outcome(r: pb.PersonalizeResponse | pb.LearnResponse) -> str:
    if r.preview:
        return "preview, nothing committed"
    return f"revision {r.edit.revision}" if r.edit.id else "nothing to change"


def show_learned(r: pb.LearnResponse, output: Output) -> None:
    """What was found in a message, and what became of it."""
    for fact in r.facts:
        output.line(fate_line(fact), "bold")
        output.line(f"  from: {fact.source}", "dim")
        for triple in fact.removed:
            output.line(f"  removed: {triple_text(triple)}")
        if fact.query:
            before, after = fact.probability_before, fact.probability_after
            asked = f"{fact.query} -> {fact.answer or '(nothing)'}"
            output.line(f"  asked: {asked}, P(answer|q) (Eq. 1) {before:.3f} -> {after:.3f}")
    show_doubts(r, output)
    output.line(_outcome(r), "dim")
    output.line(cost_line(r.cost), "dim")


def fate_line(fact: pb.FoundFact) -> str:
    """A fact that was found in a message, and what became of it."""
    return f"{enum_text(pb.Fate.Name, fact.fate, 'FATE_')}: {fact.words}"


def show_doubts(r: pb.LearnResponse, output: Output) -> None:
    """What was not understood in a message, and why."""
    for one in r.not_understood:
        doubt = enum_text(pb.Doubt.Name, one.doubt, "DOUBT_")
        output.line(f"not understood ({doubt}): {one.source or one.line}", "yellow")


def show_changes(e: pb.Edit, output: Output) -> None:
    """The triples that an edit added and removed, with their probabilities."""
    rows = [_change_row("-", c) for c in e.removed] + [_change_row("+", c) for c in e.added]
    if rows:
        columns = ["", "triple", "P(z|q) before", "P(z|q) after", "P(a|q,z)"]
        output.table(columns, rows)


def _change_row(sign: str, c: pb.TripleChange) -> tuple[str, ...]:
    probabilities = (
        (c.HasField("retrieval_probability_before"), c.retrieval_probability_before),
        (c.HasField("retrieval_probability_after"), c.retrieval_probability_after),
        (c.HasField("reasoning_probability_after"), c.reasoning_probability_after),
    )
    shown = (f"{value:.3f}" if present else "" for present, value in probabilities)
    return (sign, triple_text(c.triple), *shown)


def show_edits(r: pb.ListEditsResponse, output: Output) -> None:
    """A page of the history."""
    for edit in r.edits:
        show_edit(edit, output)
    if not r.edits:
        output.line("no edits", "dim")
    _show_more(output, r.next_page_token)


def show_edit(e: pb.Edit, output: Output) -> None:
    """One edit of the history."""
    if not e.id:
        output.line("nothing to change", "dim")
        return
    kind = enum_text(pb.EditKind.Name, e.kind, "EDIT_KIND_")
    when = moment(e.create_time)
    output.line(f"revision {e.revision}  {when}  {kind}  {e.id}{_subject_of(e)}", "bold")
    show_changes(e, output)
    if e.triples_left_out:
        left_out = f"and {e.triples_left_out} triples more, which only an export shows"
        output.line(f"  {left_out}", "yellow")


def _subject_of(e: pb.Edit) -> str:
    """What an edit was about, where its kind has something to say."""
    if e.query:
        return f"  {e.query} -> {e.answer}"
    if e.message:
        return f"  {e.message}"
    return f"  of {e.reverted_edit_id}" if e.reverted_edit_id else ""


def show_reverted(r: pb.RevertEditResponse, output: Output) -> None:
    """The edit that undoes another, and what it left as it was."""
    show_edit(r.edit, output)
    for skipped in r.skipped:
        edits = ", ".join(skipped.edit_ids)
        output.line(f"  left as it is: {triple_text(skipped.triple)} (edits {edits})", "yellow")


def show_answer(r: pb.AnswerResponse, output: Output) -> None:
    """An answer, and what it rests on."""
    output.paragraph(r.text, "bold")
    facts = ((_origin(f.origin), triple_text(f.triple), f.retrieval_probability) for f in r.facts)
    output.table(["", "fact", "P(z|q)"], ((sign, z, f"{p:.3f}") for sign, z, p in facts))
    if r.candidates:
        rows = ((c.text, f"{math.exp(c.logprob):.4f}") for c in r.candidates)
        output.table(["candidate", "P(a|q)"], rows)
    output.line(_subject_line(r), "dim")
    output.line(cost_line(r.cost), "dim")


def show_retrieved(r: pb.RetrieveResponse, output: Output) -> None:
    """The facts for a query, and the text that a prompt gets."""
    columns = ["", "fact", "P(z|q)", "revision", "edit"]
    output.table(columns, _retrieved_rows(r.facts))
    if r.context:
        output.paragraph(r.context, "bold")
    output.line(_subject_line(r), "dim")
    output.line(cost_line(r.cost), "dim")


def _retrieved_rows(facts: Iterable[pb.RetrievedFact]) -> Iterator[tuple[str, ...]]:
    for f in facts:
        revision = str(f.revision) if f.HasField("revision") else ""
        probability = f"{f.retrieval_probability:.3f}"
        yield _origin(f.origin), triple_text(f.triple), probability, revision, f.edit_id


def _subject_line(r: pb.AnswerResponse | pb.RetrieveResponse) -> str:
    others = f" (or {', '.join(m.concept for m in r.alternatives)})" if r.alternatives else ""
    return f"subject {r.subject.concept!r}{others}, revision {r.revision}"


def show_neighborhood(r: pb.GetNeighborhoodResponse, output: Output) -> None:
    """A page of the triples that start at a concept."""
    columns = ["", "head", "relation", "tail", "weight"]
    output.table(columns, _neighborhood_rows(r.triples))
    _show_more(output, r.next_page_token)


def _neighborhood_rows(viewed: Iterable[pb.ViewedTriple]) -> Iterator[tuple[str, ...]]:
    for v in viewed:
        weight = f"{v.weight:g}" if v.HasField("weight") else ""
        yield _origin(v.origin), v.triple.head, v.triple.relation, v.triple.tail, weight


def show_facts(r: pb.ListFactsResponse, output: Output) -> None:
    """A page of the triples that a user added or removed."""
    columns = ["", "triple", "revision", "edit", "when (UTC)"]
    output.table(columns, _fact_rows(r.facts))
    _show_more(output, r.next_page_token)


def _fact_rows(facts: Iterable[pb.PersonalFact]) -> Iterator[tuple[str, ...]]:
    for f in facts:
        when = moment(f.create_time)
        yield _origin(f.origin), triple_text(f.triple), str(f.revision), f.edit_id, when


def show_imported(r: pb.ImportOverlayResponse, output: Output) -> None:
    """What an import brought."""
    output.line(f"{r.imported_edits} edits taken in; the overlay is at revision {r.revision}")
    if len(r.merged_edit_ids) > 1:
        output.line(f"as edits {', '.join(r.merged_edit_ids)}, of which this is the last:")
    if r.HasField("edit"):
        show_edit(r.edit, output)


def show_erased(r: pb.EraseUserResponse, output: Output) -> None:
    """How much was removed."""
    output.line(
        f"erased {r.edits} edits, {r.added_triples} added and {r.removed_triples} removed triples,"
        f" {r.personal_concepts} personal concepts, {r.stored_responses} stored responses"
    )


def failure(error: CallError) -> str:
    """A failed call in one line."""
    reason = f" ({error.reason})" if error.reason else ""
    return f"{type(error).__name__}{reason}: {error}"


def cost_line(cost: pb.Cost) -> str:
    """A cost in one line."""
    stages = ", ".join(f"{s.stage} {s.duration_ms:.0f}" for s in cost.stages)
    drafted = f" ({cost.tokens_accepted} of {cost.tokens_drafted} drafted ones accepted)"
    return (
        f"{cost.forward_passes} forward passes, {cost.tokens_read} tokens read,"
        f" {cost.tokens_generated} generated{drafted if cost.tokens_drafted else ''}; ms: {stages}"
    )


def enum_text(name_of: Callable[[Any], str], value: int, prefix: str) -> str:
    """A value of an enum in words, or its number if only a newer server knows it."""
    try:
        return name_of(value).removeprefix(prefix).lower().replace("_", " ")
    except ValueError:
        return str(value)


def triple_text(t: pb.Triple) -> str:
    return f"({t.head}, {t.relation}, {t.tail})"


def _origin(origin: int) -> str:
    return {int(pb.ORIGIN_ADDED): "+", int(pb.ORIGIN_REMOVED): "-"}.get(origin, "")


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "infinite"


def _show_more(output: Output, token: str) -> None:
    if token:
        output.line(f"more: --page-token {token}", "dim")
