"""One thread's connections to the embedded store, and all that is read and written over them.

Every read fetches its rows whole inside one short transaction and looks into them after it:
whatever a row holds, no statement stays open, and no snapshot with it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import islice
from pathlib import Path
from typing import Any

from server.errors import (
    DataLoss,
    Internal,
    OverlayErased,
    RevisionMoved,
    StoreBusy,
    StoreUnusable,
    UnknownEdit,
    UnknownPageToken,
    UnknownRevision,
)
from server.graph.codec import require_readable
from server.graph.concept import Concept
from server.graph.edit import Edit, Overlay, UnreadableEdit
from server.graph.neighborhood import Neighborhood, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Triple, canonical, oriented
from server.stores.rules.records import all_readable, read_edit, readable
from server.stores.rules.view import (
    assemble_neighborhood,
    erase_digest,
    erasure_bucket,
    newest_first,
)
from server.stores.sqlite import rows, sql
from server.stores.sqlite.base import BaseReader, file_identity, transaction
from server.stores.sqlite.connection import FileWatch, connect, is_damage
from server.tuning.ports import (
    KEPT_ERASURES_S,
    ConceptEntry,
    Erased,
    Listing,
    Page,
    PersonalFact,
    RequestRecord,
    Snapshot,
)

_UNNAMED = "none:"
_NEWEST = (b"\xff", 0)
"""A stamp behind which all are: to SQLite every number is less than bytes, and so is what damage
left in its place."""
_IN_BASE = "base:"
"""How the cursors begin that go on behind the user's own marks."""


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
        return Snapshot(0, self._unnamed_id(user)) if row is None else rows.snapshot(row)

    def _unnamed_id(self, user: str) -> str:
        """The overlay id of a user without any edit: a new one after each erase."""
        epoch = self._row(sql.GET_EPOCH, erasure_bucket(user))
        return f"{_UNNAMED}{epoch[0] if epoch else 0}"

    def _moment(self, user: str, at_revision: int | None) -> _Moment:
        """Raises UnknownRevision."""
        latest = self.snapshot(user).revision
        if at_revision is not None and not 0 <= at_revision <= latest:
            raise UnknownRevision(at_revision, latest)
        return _Moment(latest if at_revision is None else at_revision, latest)

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
        heads = {key: (text, count) for key, text, count in at_heads}
        tails = dict(at_tails)
        entries = {}
        for key in dict.fromkeys(keys):
            if key not in found and key not in heads and key not in tails:
                continue
            number, text, retrievable = found.get(key, (0, "", 0))
            own_text, own_count = heads.get(key, (tails.get(key, ""), 0))
            entries[key] = ConceptEntry(
                Concept(key, text or rows.text(own_text)),
                key in found,
                retrievable,
                own_count,
                forms.get(number, ()),
            )
        return entries

    def neighborhood(
        self, user: str, head: Concept, limit: int, at_revision: int | None
    ) -> Neighborhood:
        base = self.base()
        with self._reading():
            moment = self._moment(user, at_revision)
            found = self._ask(sql.MARKS_AT, moment, user, head=head.key, symmetric=self._symmetric)
        marks = dict(self._seen_from(head, rows.marked(row)) for row in found)
        in_base = self._in_base(base, marks)
        slices = base.slices(head, limit + _most_of_a_relation(in_base))
        return assemble_neighborhood(head, moment.revision, slices, marks, in_base, limit)

    def _seen_from(self, head: Concept, marked: tuple[Triple, Mark]) -> tuple[Triple, Mark]:
        triple, mark = marked
        return oriented(triple, head, self._vocabulary), mark

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
        own, first = _neighborhood_cursor(page.cursor)
        start: tuple[int, int, int] | None = first
        count = page.size + 1  # one more tells whether there is another page
        listed: list[tuple[ViewedTriple, str]] = []
        with self._reading():
            moment = self._moment(user, at_revision)
            if own is not None:
                listed += self._page_of_own(base, moment, user, head, own, count)
            while start is not None and len(listed) < count:
                more, start = self._page_of_base(base, moment, user, head, start, count)
                listed += more
        next_cursor = listed[page.size - 1][1] if len(listed) > page.size else ""
        return Listing(tuple(viewed for viewed, _ in listed[: page.size]), next_cursor)

    def _page_of_own(
        self,
        base: BaseReader,
        moment: _Moment,
        user: str,
        head: Concept,
        behind: _Place,
        count: int,
    ) -> list[tuple[ViewedTriple, str]]:
        """The user's own triples at `head` behind a place, each with the cursor behind it."""
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
        marks = newest_first(dict(self._seen_from(head, rows.marked(row)) for row in found))[:count]
        in_base = self._in_base(base, [triple for triple, _ in marks])
        return [
            (
                ViewedTriple(triple, mark.origin, in_base=triple in in_base, stamp=mark.stamp),
                json.dumps(
                    [mark.stamp.revision, mark.stamp.position, triple.relation, triple.tail.key]
                ),
            )
            for triple, mark in marks
        ]

    def _page_of_base(
        self,
        base: BaseReader,
        moment: _Moment,
        user: str,
        head: Concept,
        start: tuple[int, int, int],
        count: int,
    ) -> tuple[list[tuple[ViewedTriple, str]], tuple[int, int, int] | None]:
        """The base's next triples at `head` that the user did not mark, and where to go on if there
        are more."""
        edges = list(islice(base.edges_from(head, start, count), count))
        marked = self._marks_of(user, moment, [edge.triple for edge, _ in edges])
        listed = [
            (edge.viewed(), _IN_BASE + json.dumps(behind))
            for edge, behind in edges
            if edge.triple not in marked
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
        revision, position, head, relation, tail = _cursor(
            page.cursor, (int, int, str, str, str)
        ) or (
            *_NEWEST,
            "",
            "",
            "",
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
        if len(found) <= page.size:
            return Listing(facts, "")
        last = facts[-1]
        stamp = last.mark.stamp
        return Listing(
            facts, json.dumps([stamp.revision, stamp.position, *rows.columns(last.triple)[:3]])
        )

    def edits(self, user: str, page: Page, at_revision: int) -> Listing[Edit | UnreadableEdit]:
        (start,) = _cursor(page.cursor, (int,)) or (at_revision,)
        with self._reading():
            self._moment(user, at_revision)
            found, next_cursor = self._page_of_edits(user, page, min(at_revision, start))
        return Listing(tuple(read_edit(*row) for row in found), next_cursor)

    def _page_of_edits(self, user: str, page: Page, upto: int) -> tuple[list[tuple[Any, ...]], str]:
        """The rows of a page, and the cursor of the next: the revision that it starts with."""
        found: list[tuple[Any, ...]] = []
        taken = 0
        with contextlib.closing(
            self._db.execute(sql.EDITS_PAGE, (user, upto, page.size + 1))
        ) as cursor:
            for row in cursor:
                taken += len(row[0])
                if found and (len(found) == page.size or taken > page.max_bytes):
                    return found, json.dumps([row[2]])
                found.append(row)
        return found, ""

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
        return [rows.revert(row) for row in self._rows(sql.REVERTS, (user,))]

    def response(self, user: str, request_id: str) -> RequestRecord | None:
        row = self._row(sql.RESPONSE, user, request_id)
        return None if row is None else rows.record(row)

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
            self._require_unmoved(user, snapshot, current)
            if request is not None:
                self._require_unanswered(user, request)
            if not edits:
                self._keep_response(user, request, kept_responses)
                return
            overlay_id = secrets.token_hex(16) if _is_new(current) else current.overlay_id
            for number, (edit, body) in enumerate(zip(edits, bodies, strict=True), start=1):
                if edit.revision != current.revision + number:
                    raise Internal("an edit's revision does not follow the overlay's")
                self._insert_edit(user, edit, body, request if number == len(edits) else None)
            self._db.execute(sql.PUT_USER, (user, overlay_id, current.revision + len(edits)))

    def _require_unmoved(self, user: str, snapshot: Snapshot, current: Snapshot) -> None:
        if current == snapshot:
            return
        if current.overlay_id != snapshot.overlay_id:
            unnamed = self._unnamed_id(user)
            if not (_is_new(snapshot) and snapshot.overlay_id == unnamed):
                raise OverlayErased
        raise RevisionMoved(snapshot.revision, current.revision)

    def _require_unanswered(self, user: str, request: RequestRecord) -> None:
        """An equal request through another server may have been faster; repeated, this one gets its
        response."""
        if self._row(sql.RESPONSE, user, request.request_id) is not None:
            raise StoreBusy(
                "a request with this request_id was answered meanwhile; repeat it to get that response"
            )

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
        oldest_ms = now_ms - KEPT_ERASURES_S * 1000
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

_Place = tuple[int | bytes, int, str, str]
"""Behind which of a user's marks at a concept a page goes on: stamp, relation, other end."""


def _neighborhood_cursor(cursor: str) -> tuple[_Place | None, tuple[int, int, int]]:
    """(place among the user's own marks, or None behind them; place in the base) where a page
    starts."""
    if cursor.startswith(_IN_BASE):
        position, side, offset = _cursor(cursor.removeprefix(_IN_BASE), (int, int, int)) or (
            0,
            0,
            0,
        )
        return None, (position, side, offset)
    revision, position, relation, other = _cursor(cursor, (int, int, str, str)) or (
        *_NEWEST,
        "",
        "",
    )
    return (revision, position, relation, other), (0, 0, 0)


def _cursor(cursor: str, types: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The values of these types in a cursor; None for an empty one. Raises UnknownPageToken."""
    if not cursor:
        return None
    try:
        values = json.loads(cursor)
    except (ValueError, RecursionError):
        raise UnknownPageToken from None
    if not isinstance(values, list) or tuple(type(value) for value in values) != types:
        raise UnknownPageToken
    if any(isinstance(value, int) and not 0 <= value < 1 << 63 for value in values):
        raise UnknownPageToken
    return tuple(values)


def _most_of_a_relation(triples: set[Triple]) -> int:
    """How many of `triples` are of the relation that has the most of them."""
    counts: dict[str, int] = {}
    for triple in triples:
        counts[triple.relation] = counts.get(triple.relation, 0) + 1
    return max(counts.values(), default=0)


def _is_new(snapshot: Snapshot) -> bool:
    return snapshot.overlay_id.startswith(_UNNAMED)
