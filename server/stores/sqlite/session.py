"""One thread's connections to the embedded store, and all that is read and written over them.

Every read fetches its rows whole inside one short transaction and looks into them after it:
whatever a row holds, no statement stays open, and no snapshot with it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import Any

from server.errors import DataLoss, StoreUnusable, UnknownEdit
from server.graph.codec import require_readable
from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple, canonical
from server.stores.rules import cursors, pages, revisions
from server.stores.rules.concepts import BaseConcept, PersonalConcepts, concept_entries
from server.stores.rules.erasures import erase_digest, erasure_bucket, oldest_kept_ms
from server.stores.rules.records import (
    all_readable,
    read_edit,
    read_response,
    read_revert,
    read_snapshot,
    readable,
)
from server.stores.rules.view import (
    assemble_neighborhood,
    newest_first,
    seen_from,
    viewed_marks,
)
from server.stores.sqlite import rows, sql
from server.stores.sqlite.base import BaseReader, file_identity, transaction
from server.stores.sqlite.connection import FileWatch, connect, is_damage
from server.tuning.ports import (
    ConceptEntry,
    Erased,
    Listing,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
)

_NEWEST = (b"\xff", 0)
"""A stamp behind which all are: to SQLite every number is less than bytes, and so is what damage
left in its place."""
_AMONG_MARKS = (int, int, str, str)
"""A place behind one of the user's own marks at a concept: stamp, relation, other end."""
_IN_BASE = (int, int, int)
"""A place among the base's triples at a concept (see `BaseReader.edges_from`)."""
_AMONG_FACTS = (int, int, str, str, str)
"""A place behind one of all of a user's marks: stamp, head, relation, tail."""
_AMONG_EDITS = (int,)
"""A revision."""


class Session:
    """One thread's connections. Raises SQLite's errors as they are; whoever uses it translates
    them."""

    def __init__(
        self, overlays: Path, base: Path, vocabulary: Vocabulary, on_base: Callable[[str], None]
    ) -> None:
        """Open the overlays' file, which is there. `on_base` is told the fingerprint of each base
        that is opened."""
        self._base_path = base
        self._base: BaseReader | None = None
        self._on_base = on_base
        self._vocabulary = vocabulary
        self._symmetric = json.dumps(sorted(vocabulary.symmetric_names()))
        self._db = connect(overlays, timeout_s=5.0)

    def close(self) -> None:
        self._db.close()
        if self._base is not None:
            self._base.close()

    def wait_for_locks(self, seconds: float) -> None:
        """For how long what follows waits for other processes."""
        self._db.execute(sql.wait_for_locks(round(seconds * 1000)))

    def end(self) -> None:
        """After each piece of work, whatever became of it: nothing stays open."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def base(self) -> BaseReader:
        """The base as it is now: a loader may have swapped the file. Raises DataLoss when it cannot
        be used."""
        if self._base is None or self._base.identity != file_identity(self._base_path):
            if self._base is not None:
                self._base.close()
                self._base = None
            try:
                self._base = BaseReader(self._base_path)
            except StoreUnusable as error:
                raise DataLoss(str(error)) from error
            self._on_base(self._base.fingerprint)
        return self._base

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """All reads inside see one moment."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def _rows(
        self, statement: str, arguments: Mapping[str, object] | Sequence[object]
    ) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._db.execute(statement, arguments)) as cursor:
            return cursor.fetchall()

    def _row(self, statement: str, *arguments: object) -> tuple[Any, ...] | None:
        found = self._rows(statement, arguments)
        return found[0] if found else None

    def health(self) -> None:
        """Return when both files can be read."""
        self._rows(sql.ANY_USER, ())
        self.base()

    # Where an overlay stands

    def snapshot(self, user: str) -> Snapshot:
        row = self._row(sql.GET_USER, user)
        if row is None:
            return revisions.snapshot_without_edits(self._erasures(user))
        return read_snapshot(*row)

    def _erasures(self, user: str) -> int:
        """How often somebody in the user's bucket was erased."""
        row = self._row(sql.GET_EPOCH, erasure_bucket(user))
        return row[0] if row else 0

    def _moment(self, user: str, at_revision: int | None) -> _Moment:
        """Raises UnknownRevision."""
        latest = self.snapshot(user).revision
        return _Moment(revisions.revision_to_read(at_revision, latest), latest)

    def _ask(
        self, question: sql.Timed, moment: _Moment, user: str, **more: object
    ) -> list[tuple[Any, ...]]:
        """The rows that answer a question about the user's marks at a moment."""
        statement = question.now if moment.is_latest else question.then
        return self._rows(statement, {"user": user, "revision": moment.revision, **more})

    # Concepts and neighborhoods

    def look_up(
        self, user: str, keys: Sequence[str], at_revision: int | None
    ) -> dict[str, ConceptEntry]:
        base = self.base()
        found = base.concept_ids(keys)
        forms = base.forms_of([number for number, _, _ in found.values()])
        wanted = json.dumps(list(keys))
        with self._reading():
            moment = self._moment(user, at_revision)
            at_heads = self._ask(sql.PERSONAL_AT_HEADS, moment, user, keys=wanted)
            at_tails = self._ask(sql.PERSONAL_AT_TAILS, moment, user, keys=wanted)
        known = {
            key: BaseConcept(text, retrievable, forms.get(number, ()))
            for key, (number, text, retrievable) in found.items()
        }
        heads = {key: (_own_text(text, known.get(key)), count) for key, text, count in at_heads}
        tails = {key: _own_text(text, known.get(key)) for key, text in at_tails if key not in heads}
        return concept_entries(keys, known, PersonalConcepts(heads, tails))

    def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None
    ) -> Neighborhood:
        base = self.base()
        with self._reading():
            moment = self._moment(user, at_revision)
            found = self._ask(sql.MARKS_AT, moment, user, head=head.key, symmetric=self._symmetric)
        marks = seen_from(rows.all_marked(found), head, self._vocabulary)
        in_base = self._in_base(base, marks)
        slices = base.slices(head, limit + _most_of_a_relation(in_base))
        return assemble_neighborhood(head, moment.revision, slices, marks, in_base, limit)

    def _in_base(
        self, base: BaseReader, triples: Sequence[Triple] | Mapping[Triple, Mark]
    ) -> set[Triple]:
        """Those of `triples` that the base has, in one statement."""
        asked = list(triples)
        places = base.places_of(canonical(triple, self._vocabulary) for triple in asked)
        return {asked[place] for place in places}

    def page_neighborhood(
        self, user: str, head: Concept, page: Page, at_revision: int
    ) -> Listing[ViewedTriple]:
        base = self.base()
        own, start = _neighborhood_places(page.cursor)
        count = page.size + 1  # one more tells whether there is another page
        listed: list[tuple[ViewedTriple, cursors.Place]] = []
        with self._reading():
            moment = self._moment(user, at_revision)
            if own is not None:
                listed += self._page_of_own(base, moment, user, head, own, count)
            while start is not None and len(listed) < count:
                more, start = self._page_of_base(base, moment, user, head, start, count)
                listed += more
        return pages.cut(listed, page.size, cursors.encoded)

    def _page_of_own(
        self,
        base: BaseReader,
        moment: _Moment,
        user: str,
        head: Concept,
        behind: cursors.Place,
        count: int,
    ) -> list[tuple[ViewedTriple, cursors.Place]]:
        """The user's own triples at `head` behind a place, each with the place behind it."""
        revision, position, relation, other = behind
        found = self._ask(
            sql.PAGE_OF_MARKS_AT,
            moment,
            user,
            head=head.key,
            symmetric=self._symmetric,
            count=count,
            stamp_revision=revision,
            stamp_position=position,
            relation=relation,
            other=other,
        )
        marks = dict(
            newest_first(seen_from(rows.all_marked(found), head, self._vocabulary))[:count]
        )
        viewed = viewed_marks(marks, self._in_base(base, marks))
        places = [
            (mark.stamp.revision, mark.stamp.position, triple.relation, triple.tail.key)
            for triple, mark in marks.items()
        ]
        return list(zip(viewed, places, strict=True))

    def _page_of_base(
        self,
        base: BaseReader,
        moment: _Moment,
        user: str,
        head: Concept,
        start: tuple[int, int, int],
        count: int,
    ) -> tuple[list[tuple[ViewedTriple, cursors.Place]], tuple[int, int, int] | None]:
        """The base's next triples at `head` that the user did not mark, and where to go on if there
        are more."""
        edges = list(islice(base.edges_from(head, start, count), count))
        marked = self._marks_of(user, moment, [edge.triple for edge, _ in edges])
        listed: list[tuple[ViewedTriple, cursors.Place]] = [
            (edge.viewed(), behind) for edge, behind in edges if edge.triple not in marked
        ]
        return listed, (edges[-1][1] if len(edges) == count else None)

    def find(self, user: str, triples: Sequence[Triple]) -> dict[Triple, tuple[bool, Mark | None]]:
        base = self.base()
        with self._reading():
            marks = self._marks_of(user, _LATEST, triples)
        in_base = self._in_base(base, triples)
        return {triple: (triple in in_base, marks.get(triple)) for triple in triples}

    def _marks_of(
        self, user: str, moment: _Moment, triples: Sequence[Triple]
    ) -> dict[Triple, Mark]:
        """The marks on `triples`, in one statement."""
        stored = rows.keys_json(canonical(triple, self._vocabulary) for triple in triples)
        found = self._ask(sql.MARKS_OF, moment, user, triples=stored)
        return {triples[row[-1]]: rows.marked(row)[1] for row in found}

    # History

    def overlay(self, user: str) -> Overlay:
        with self._reading():
            revision = self.snapshot(user).revision
            found = self._rows(sql.ALL_MARKS, {"user": user})
        return Overlay(revision, rows.all_marked(found))

    def personal_facts(self, user: str, page: Page, at_revision: int) -> Listing[PersonalFact]:
        revision, position, head, relation, tail = (
            cursors.decoded(page.cursor, _AMONG_FACTS) if page.cursor else (*_NEWEST, "", "", "")
        )
        with self._reading():
            moment = self._moment(user, at_revision)
            found = self._ask(
                sql.PAGE_OF_FACTS,
                moment,
                user,
                count=page.size + 1,
                stamp_revision=revision,
                stamp_position=position,
                head=head,
                relation=relation,
                tail=tail,
            )
        facts = tuple(rows.fact(row) for row in found[: page.size])
        next_cursor = _cursor_behind(facts[-1]) if len(found) > page.size else ""
        return Listing(facts, next_cursor)

    def edits(self, user: str, page: Page, at_revision: int) -> Listing[Edit | UnreadableEdit]:
        start = at_revision
        if page.cursor:
            (start,) = cursors.decoded(page.cursor, _AMONG_EDITS)
        asked = (user, min(at_revision, start), page.size + 1)
        with self._reading():
            self._moment(user, at_revision)
            with contextlib.closing(self._db.execute(sql.EDITS_PAGE, asked)) as found:
                listed, following = pages.fill(found, _body_bytes, page)
        next_cursor = "" if following is None else cursors.encoded((following[2],))
        return Listing(tuple(read_edit(*row) for row in listed), next_cursor)

    def history(self, user: str) -> list[Edit | UnreadableEdit]:
        return self._edits(sql.EDITS_ALL, user)

    def _edits(self, statement: str, *arguments: object) -> list[Edit | UnreadableEdit]:
        return [read_edit(*row) for row in self._rows(statement, arguments)]

    def edit(self, user: str, edit_id: str) -> Edit:
        found = self._edits(sql.EDIT_BY_ID, user, edit_id)
        if not found:
            raise UnknownEdit
        return readable(found[0])

    def edits_since(self, user: str, revision: int, triples: Sequence[Triple]) -> list[Edit]:
        stored = rows.keys_json(canonical(triple, self._vocabulary) for triple in triples)
        return all_readable(self._edits(sql.EDITS_TOUCHING, user, stored, revision))

    def reverts(self, user: str) -> list[tuple[str, str]]:
        return [read_revert(*row) for row in self._rows(sql.REVERTS, (user,))]

    def response(self, user: str, request_id: str) -> RequestRecord | None:
        row = self._row(sql.RESPONSE, user, request_id)
        return None if row is None else read_response(*row)

    # Writing

    def probe(self, watch: FileWatch, *, for_real: bool) -> None:
        """Begin a write, and leave it at that unless it is `for_real`: then something small is
        written."""
        if for_real:
            with self._writing(watch):
                self._db.execute(sql.PUT_META, ("probed", ""))
        else:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _writing(self, watch: FileWatch) -> Iterator[None]:
        """One transaction, committed only into the file that is at its place."""
        with transaction(self._db):
            yield
            watch.require_same()

    def commit(
        self,
        watch: FileWatch,
        user: str,
        snapshot: Snapshot,
        edits: Sequence[Edit],
        request: RequestRecord | None,
        kept_responses: int,
    ) -> None:
        bodies = [require_readable(edit) for edit in edits]
        with self._writing(watch):
            current = self.snapshot(user)
            if current != snapshot:
                raise revisions.refusal(snapshot, current, self._erasures(user))
            # An equal request through another server may have been faster
            if request is not None and self._row(sql.RESPONSE, user, request.request_id):
                raise revisions.already_answered()
            if not edits:
                self._keep_response(user, request, kept_responses)
                return
            revisions.require_consecutive(current.revision, edits)
            for edit, body in zip(edits, bodies, strict=True):
                self._insert_edit(user, edit, body, request if edit is edits[-1] else None)
            is_first = revisions.has_no_edits(current)
            overlay_id = revisions.new_overlay_id() if is_first else current.overlay_id
            self._db.execute(sql.PUT_USER, (user, overlay_id, current.revision + len(edits)))

    def _keep_response(self, user: str, request: RequestRecord | None, most: int) -> None:
        if request is not None:
            kept = (user, request.request_id, request.content_hash, request.response)
            self._db.execute(sql.PUT_RESPONSE, kept)
            self._db.execute(sql.DROP_OLD_RESPONSES, (user, most))

    def _insert_edit(self, user: str, edit: Edit, body: str, request: RequestRecord | None) -> None:
        kept = (
            (request.request_id, request.content_hash, request.response)
            if request
            else (None, None, None)
        )
        self._db.execute(
            sql.INSERT_EDIT, (user, edit.revision, edit.id, edit.time_ms, edit.reverts, *kept, body)
        )
        self._db.executemany(sql.INSERT_TOUCH, [(user, *row) for row in rows.touches(edit)])
        for change in edit.changes:
            columns = rows.columns(change.triple)
            self._db.execute(sql.DROP_MARK, (user, *columns[:3]))
            if change.after is not None:
                self._db.execute(sql.PUT_MARK, (user, *columns, *rows.mark_columns(change.after)))

    def erase(self, watch: FileWatch, user: str, request_id: str | None) -> Erased:
        """Remove the user's rows. What is left of them in the files is the maintenance's."""
        now_ms = time.time_ns() // 1_000_000
        oldest_ms = oldest_kept_ms(now_ms)
        digest = None if request_id is None else erase_digest(user, request_id)
        with self._writing(watch):
            earlier = self._row(sql.ERASED_REQUEST, digest, oldest_ms)
            erased = Erased(*earlier) if earlier else self._erase_rows(user)
            self._db.execute(sql.DROP_OLD_ERASED_REQUESTS, (oldest_ms,))
            if digest is not None and not earlier:
                self._db.execute(sql.PUT_ERASED_REQUEST, (digest, now_ms, *astuple(erased)))
        return erased

    def _erase_rows(self, user: str) -> Erased:
        ((edits, responses),) = self._rows(sql.COUNT_USER_EDITS, (user,))
        marks = dict(self._rows(sql.COUNT_USER_MARKS, (user,)))
        own = [key for (key,) in self._rows(sql.USER_CONCEPTS, (user,)) if isinstance(key, str)]
        for statement in sql.ERASE:
            self._db.execute(statement, (user,))
        self._db.execute(sql.NEXT_EPOCH, (erasure_bucket(user),))
        self._db.execute(sql.OWE_SCRUB)
        added, removed = marks.get(Origin.ADDED.value, 0), marks.get(Origin.REMOVED.value, 0)
        return Erased(edits, added, removed, self._unknown_to_base(own), responses)

    def _unknown_to_base(self, keys: Sequence[str]) -> int:
        """How many of `keys` the base has not; 0 while it cannot be read, which is no reason to
        keep a user."""
        try:
            return len(keys) - len(self.base().concept_ids(keys))
        except (DataLoss, OSError):
            return 0
        except sqlite3.Error as error:
            if is_damage(error):
                return 0
            raise


class _Moment:
    """A revision to read at, and whether it is the latest."""

    def __init__(self, revision: int, latest: int) -> None:
        self.revision = revision
        self.is_latest = revision == latest


_LATEST = _Moment(0, 0)
"""For what is asked of the latest revision, whichever it is."""


def _neighborhood_places(cursor: str) -> tuple[cursors.Place | None, tuple[int, int, int] | None]:
    """(place among the user's own marks, or None behind them; place in the base) where a page
    starts."""
    if not cursor:
        return (*_NEWEST, "", ""), (0, 0, 0)
    place = cursors.decoded(cursor, _AMONG_MARKS, _IN_BASE)
    if len(place) == len(_AMONG_MARKS):
        return place, (0, 0, 0)
    position, side, offset = place
    return None, (position, side, offset)


def _cursor_behind(fact: PersonalFact) -> str:
    stamp = fact.mark.stamp
    return cursors.encoded((stamp.revision, stamp.position, *rows.columns(fact.triple)[:3]))


def _body_bytes(row: rows.Row) -> int:
    return len(row[0])


def _own_text(stored: object, known: BaseConcept | None) -> str:
    """How the user's own triples show a concept; not asked where the base shows it."""
    return "" if known is not None and known.text else rows.text(stored)


def _most_of_a_relation(triples: set[Triple]) -> int:
    """How many of `triples` are of the relation that has the most of them."""
    counts: dict[str, int] = {}
    for triple in triples:
        counts[triple.relation] = counts.get(triple.relation, 0) + 1
    return max(counts.values(), default=0)
