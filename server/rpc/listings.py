"""Pages of what a user sees, has changed and has done, all at the first page's revision."""

from __future__ import annotations

from dataclasses import replace

from kgt.v1 import personalization_pb2 as pb
from server.errors import UnknownPageToken
from server.graph.concept import Concept
from server.rpc import limits
from server.rpc.paging import PageTokens, Position
from server.rpc.requests import at_revision
from server.rpc.responses import edit_message, personal_fact_message, viewed_message
from server.tuning.ports import GraphStore, Page


class Listings:
    """Answers the RPCs that list, page by page. Raises UnknownPageToken."""

    async def neighborhood(
        self, store: GraphStore, user: str, request: pb.GetNeighborhoodRequest
    ) -> pb.GetNeighborhoodResponse:
        """The triples that start at a concept."""
        concept = Concept.of(limits.concept(request.concept, "concept"))
        wanted = at_revision(request)
        binding = ("neighborhood", concept.key, str(wanted), store.base_fingerprint)
        at = await self._position(store, request.page_token, user, binding, wanted)
        known = (await store.look_up(user, [concept.key], at.revision)).get(concept.key)
        head = known.concept if known else concept
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await store.page_neighborhood(user, head, page, at.revision)
        return pb.GetNeighborhoodResponse(
            concept=head.text,
            triples=[viewed_message(viewed) for viewed in listing.items],
            next_page_token=_next(store, at, listing.next_cursor, user, binding),
            revision=at.revision,
        )

    async def facts(
        self, store: GraphStore, user: str, request: pb.ListFactsRequest
    ) -> pb.ListFactsResponse:
        """What the user added and removed."""
        at = await self._position(store, request.page_token, user, ("facts",))
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await store.personal_facts(user, page, at.revision)
        return pb.ListFactsResponse(
            facts=[personal_fact_message(fact) for fact in listing.items],
            next_page_token=_next(store, at, listing.next_cursor, user, ("facts",)),
            revision=at.revision,
        )

    async def edits(
        self, store: GraphStore, user: str, request: pb.ListEditsRequest
    ) -> pb.ListEditsResponse:
        """The user's edits."""
        at = await self._position(store, request.page_token, user, ("edits",))
        page = Page(limits.page_size(request.page_size), at.cursor)
        listing = await store.edits(user, page, at.revision)
        return pb.ListEditsResponse(
            edits=[edit_message(edit) for edit in listing.items],
            next_page_token=_next(store, at, listing.next_cursor, user, ("edits",)),
            revision=at.revision,
        )

    async def _position(
        self,
        store: GraphStore,
        token: str,
        user: str,
        binding: tuple[str, ...],
        revision: int | None = None,
    ) -> Position:
        """Where a listing starts or goes on. The first page pins it to a revision."""
        snapshot = await store.snapshot(user)
        if not token:
            revision = snapshot.revision if revision is None else revision
            return Position(revision, snapshot.overlay_id)
        position = PageTokens(store.page_key).position(token, user, *binding)
        if position.revision > 0 and position.overlay_id != snapshot.overlay_id:
            raise UnknownPageToken  # the user was erased since
        return position


def _next(store: GraphStore, at: Position, cursor: str, user: str, binding: tuple[str, ...]) -> str:
    """The token of the page after the one at `at`."""
    return PageTokens(store.page_key).token(replace(at, cursor=cursor), user, *binding)
