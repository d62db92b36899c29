"""The request of each RPC from plain arguments: the signatures of both clients' methods."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence

from kgt.v1 import personalization_pb2 as pb

TripleLike = pb.Triple | tuple[str, str, str]
"""A triple as a message or as (head, relation, tail)."""

_IMPORT_CHUNK_BYTES = 1 << 20
_IMPORT_PIECE_CHARACTERS = _IMPORT_CHUNK_BYTES // 4
"""A character takes four bytes at most."""


def new_request_id() -> str:
    """A fresh request id (AIP-155): a write that carries it can be repeated safely."""
    return str(uuid.uuid4())


def personalize(
    *,
    user: str,
    query: str,
    answer: str,
    subject: str | None = None,
    object: str | None = None,
    relations: Sequence[str] = (),
    request_id: str | None = None,
    expected_revision: int | None = None,
    preview: bool = False,
    verify: bool | None = None,
    options: pb.PersonalizeOptions | None = None,
    answer_before: str | None = None,
) -> pb.PersonalizeRequest:
    """Find the few triples to add and remove so that `query` is answered with `answer`, and commit
    them."""
    return pb.PersonalizeRequest(
        user=user,
        query=query,
        answer=answer,
        subject=subject,
        object=object,
        relations=relations,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
        preview=preview,
        verify=verify,
        options=options,
        answer_before=answer_before,
    )


def answer(
    *,
    user: str,
    query: str,
    subject: str | None = None,
    at_revision: int | None = None,
    min_revision: int | None = None,
    candidates: Sequence[str] = (),
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> pb.AnswerRequest:
    """Retrieve facts from the user's view and answer from them."""
    return pb.AnswerRequest(
        user=user,
        query=query,
        subject=subject,
        at_revision=at_revision,
        min_revision=min_revision,
        candidates=candidates,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
    )


def stream_answer(
    *,
    user: str,
    query: str,
    subject: str | None = None,
    at_revision: int | None = None,
    min_revision: int | None = None,
    candidates: Sequence[str] = (),
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> pb.StreamAnswerRequest:
    """Answer in pieces: the evidence, then text, then the totals."""
    return pb.StreamAnswerRequest(
        user=user,
        query=query,
        subject=subject,
        at_revision=at_revision,
        min_revision=min_revision,
        candidates=candidates,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
    )


def get_neighborhood(
    *,
    user: str,
    concept: str,
    at_revision: int | None = None,
    page_size: int = 0,
    page_token: str = "",
) -> pb.GetNeighborhoodRequest:
    """The triples that start at a concept, as this user sees them."""
    return pb.GetNeighborhoodRequest(
        user=user,
        concept=concept,
        at_revision=at_revision,
        page_size=page_size,
        page_token=page_token,
    )


def list_facts(*, user: str, page_size: int = 0, page_token: str = "") -> pb.ListFactsRequest:
    """Everything that this user has added or removed, newest first."""
    return pb.ListFactsRequest(user=user, page_size=page_size, page_token=page_token)


def edit_facts(
    *,
    user: str,
    add: Iterable[TripleLike] = (),
    remove: Iterable[TripleLike] = (),
    request_id: str | None = None,
    expected_revision: int | None = None,
) -> pb.EditFactsRequest:
    """Add and remove triples directly, without the model."""
    return pb.EditFactsRequest(
        user=user,
        add=[_triple(t) for t in add],
        remove=[_triple(t) for t in remove],
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )


def list_edits(*, user: str, page_size: int = 0, page_token: str = "") -> pb.ListEditsRequest:
    """This user's edits, newest first, each whole."""
    return pb.ListEditsRequest(user=user, page_size=page_size, page_token=page_token)


def revert_edit(
    *, user: str, edit_id: str, skip_conflicts: bool = False, request_id: str | None = None
) -> pb.RevertEditRequest:
    """Restore exactly what an edit changed, as a new edit."""
    return pb.RevertEditRequest(
        user=user,
        edit_id=edit_id,
        skip_conflicts=skip_conflicts,
        request_id=request_id or new_request_id(),
    )


def export_overlay(*, user: str) -> pb.ExportOverlayRequest:
    """One revision of the overlay as JSON lines."""
    return pb.ExportOverlayRequest(user=user)


def import_overlay(
    *, user: str, lines: Iterable[str], merge: bool = False, request_id: str | None = None
) -> Iterator[pb.ImportOverlayRequest]:
    """Take an export's lines back, into an empty overlay or, with `merge`, as one net edit."""
    message = pb.ImportOverlayRequest(
        user=user, merge=merge, request_id=request_id or new_request_id()
    )
    size = 0
    for line in lines:
        for piece, continued in _pieces(line.rstrip("\n")):
            piece_bytes = len(piece.encode())
            if message.lines and (message.continued or size + piece_bytes > _IMPORT_CHUNK_BYTES):
                yield message
                message, size = pb.ImportOverlayRequest(user=user), 0
            message.lines.append(piece)
            message.continued = continued
            size += piece_bytes
    yield message


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    """A line in pieces that each fit a message, and whether it goes on after each: nearly always
    one."""
    last = max(len(line) - 1, 0) // _IMPORT_PIECE_CHARACTERS * _IMPORT_PIECE_CHARACTERS
    for start in range(0, last, _IMPORT_PIECE_CHARACTERS):
        yield line[start : start + _IMPORT_PIECE_CHARACTERS], True
    yield line[last:], False


def erase_user(*, user: str, request_id: str | None = None) -> pb.EraseUserRequest:
    """Remove everything that is kept about a user."""
    return pb.EraseUserRequest(user=user, request_id=request_id or new_request_id())


def _triple(value: TripleLike) -> pb.Triple:
    if isinstance(value, pb.Triple):
        return value
    head, relation, tail = value
    return pb.Triple(head=head, relation=relation, tail=tail)
