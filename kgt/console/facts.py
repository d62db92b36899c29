"""The first page: all that a user told, grouped by what it is about, and a graph of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.responses import Response

from kgt.console.visit import Visit
from kgt.console.words import USER_CONCEPT
from kgt.v1 import personalization_pb2 as pb

PAGE_FACTS = 100
_PAGE_EDITS = 100
"""How many edits are looked through for the reasons of the facts. Others are a link away."""
_LISTED = 50
"""How many triples around a concept are listed."""
_DRAWN = 16
"""How many of them are drawn: more could not be read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a user said about one concept, newest first."""

    concept: str
    facts: list[pb.PersonalFact] = field(default_factory=list)


async def show(visit: Visit) -> Response:
    """The page of a user's facts."""
    token = visit.asked("page")
    found = await visit.client.list_facts(user=visit.user, page_size=PAGE_FACTS, page_token=token)
    told = subjects(f for f in found.facts if f.origin == pb.ORIGIN_ADDED)
    removed = subjects(f for f in found.facts if f.origin == pb.ORIGIN_REMOVED)
    about = visit.asked("about") or next((s.concept for s in (*told, *removed)), "")
    around = None
    if about:
        around = await visit.client.get_neighborhood(
            user=visit.user, concept=about, page_size=_LISTED
        )
    return visit.page(
        "facts.html",
        told=told,
        removed=removed,
        edits=await _reasons(visit) if found.facts else {},
        next_page=found.next_page_token,
        first_page=not token,
        about=about,
        around=around,
        drawn=_DRAWN,
    )


async def change(visit: Visit) -> Response:
    """Forget one fact of several that were learned at once, or bring one back."""
    triple = (visit.said("head"), visit.said("relation"), visit.said("tail"))
    bring_back = visit.said("do") == "bring back"
    if not bring_back and visit.said("do") != "forget":
        raise HTTPException(400)
    changed = await visit.client.edit_facts(
        user=visit.user,
        add=[triple] if bring_back else [],
        remove=[] if bring_back else [triple],
        request_id=visit.request_id(),
    )
    return visit.page("changed.html", edit=changed.edit, skipped=[], undone=None)


def subjects(facts: Iterable[pb.PersonalFact]) -> list[Subject]:
    """The facts by their head: first the user, then the others in order of their newest fact."""
    found: dict[str, Subject] = {}
    for fact in facts:
        head = fact.triple.head
        found.setdefault(head, Subject(head)).facts.append(fact)
    return sorted(found.values(), key=lambda subject: subject.concept != USER_CONCEPT)


async def _reasons(visit: Visit) -> Mapping[str, pb.Edit]:
    """The user's latest edits by their ids."""
    latest = await visit.client.list_edits(user=visit.user, page_size=_PAGE_EDITS)
    return {edit.id: edit for edit in latest.edits}
