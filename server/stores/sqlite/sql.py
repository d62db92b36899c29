"""Every SQL string of the embedded store, named, with both schemas.

There are two files, so that a new base can be built apart and swapped in whole. `base.db` is
written by the loaders only and never changed. `overlays.db` holds the users' logs of edits, which
are the truth, and what is derived from them.

SQLite keeps a table's definition as it was written. A backslash joins the lines of a definition, so
that it reads the same in every file.
"""

from __future__ import annotations

from typing import NamedTuple

BASE_SCHEMA_VERSION = 3
"""Version 1 had no edges.merged, which no read for users needs. Version 2 had every edge in two
indexes of tails. The queries below read all three versions."""
OVERLAY_SCHEMA_VERSION = 3
"""Version 1 had neither `responses` nor `erased_requests`, and other indexes of marks. Version 2
had no tombstones."""

BEGIN = "BEGIN"
BEGIN_WRITING = "BEGIN IMMEDIATE"
BEGIN_EXCLUSIVE = "BEGIN EXCLUSIVE"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

# The base. A symmetric relation has a negative id, and its edges are stored once: their head is the
# concept with the smaller key.

BASE_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE relations (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, edges INTEGER NOT NULL);
CREATE TABLE sources (id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, license TEXT NOT NULL, \
UNIQUE (dataset, license));
CREATE TABLE concepts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL, \
retrievable INTEGER NOT NULL DEFAULT 0
);
-- rank: 0 for the heaviest triple of a head and relation, without gaps
CREATE TABLE edges (
  head INTEGER NOT NULL, relation INTEGER NOT NULL, rank INTEGER NOT NULL,
  tail INTEGER NOT NULL, weight REAL NOT NULL, source INTEGER NOT NULL,
  merged INTEGER NOT NULL, -- how many edges of the file became this one
  PRIMARY KEY (head, relation, rank)
) WITHOUT ROWID;
"""
BASE_INDEXES = """
CREATE UNIQUE INDEX IF NOT EXISTS concepts_by_key ON concepts (key);
-- an edge is found among the first of its head and relation, which lie next to each other, or here
CREATE INDEX IF NOT EXISTS edges_of_hubs ON edges (head, relation, tail) WHERE rank >= 64;
-- symmetric edges from their other end, heaviest first, so that a hub's heaviest are read without
-- sorting. NOT, since the planner would take `relation < 0` for a range to walk, and sort
CREATE INDEX IF NOT EXISTS edges_mirrored ON edges (tail, relation, weight DESC, head) \
WHERE NOT relation >= 0;
"""

# A base under construction. SQLite makes the schema and the small tables; server.stores.sqlite.bulk
# writes the pages of the others.

BULK_PRAGMAS = """
PRAGMA page_size = 4096;
PRAGMA journal_mode = TRUNCATE;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -65536;
"""
ROOT_PAGES = "SELECT name, rootpage FROM sqlite_master"
INSERT_RELATION = "INSERT INTO relations (id, name, edges) VALUES (?, ?, ?)"
INSERT_SOURCE = "INSERT INTO sources (id, dataset, license) VALUES (?, ?, ?)"
ANALYZE_BASE = "PRAGMA analysis_limit = 1000; ANALYZE;"
PUT_META = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
GET_META = "SELECT value FROM meta WHERE key = ?"
ALL_RELATIONS = "SELECT id, name, edges FROM relations"
COUNT_CONCEPTS = "SELECT COUNT(*) FROM concepts"

LOOK_UP_CONCEPTS = """
SELECT c.key, c.id, c.text, c.retrievable
FROM json_each(?) k JOIN concepts c ON c.key = k.value
"""
FORMS_OF = """
SELECT e.head, t.key FROM json_each(?1) i JOIN edges e ON e.head = i.value AND e.relation = ?2
JOIN concepts t ON t.id = e.tail ORDER BY e.head, e.rank
"""
COUNT_OF_RELATION = "SELECT MAX(rank) + 1 FROM edges WHERE head = ? AND relation = ?"
COUNT_MIRRORED = """
SELECT COUNT(*) FROM edges
WHERE tail = ?1 AND relation = ?2 AND NOT relation >= 0 AND head <> ?1
"""
# Sources come by subquery, so that every plan walks the edges in the order of the index.
_SOURCE = """
  (SELECT dataset FROM sources WHERE id = e.source),
  (SELECT license FROM sources WHERE id = e.source)
"""
EDGES_OF_RELATION = f"""
SELECT e.rank, c.key, c.text, e.weight, {_SOURCE}
FROM edges e CROSS JOIN concepts c ON c.id = e.tail
WHERE e.head = ? AND e.relation = ? AND e.rank >= ? ORDER BY e.rank LIMIT ?
"""
_MIRRORED_EDGES = f"""
SELECT e.head, c.key, c.text, e.weight, {_SOURCE}
FROM edges e {{hint}} CROSS JOIN concepts c ON c.id = e.head
WHERE e.tail = ?1 AND e.relation = ?2 AND NOT e.relation >= 0 AND e.head <> ?1
ORDER BY e.weight DESC, e.head LIMIT ?3 OFFSET ?4 -- ids are in the order of keys
"""
MIRRORED_EDGES = _MIRRORED_EDGES.format(hint="INDEXED BY edges_mirrored")
MIRRORED_EDGES_SORTED = _MIRRORED_EDGES.format(hint="")
"""For bases of version 1, which lack the index."""
HAS_MIRRORED_INDEX = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'edges_mirrored'"
_FOUND = """
SELECT {columns}
FROM concepts h CROSS JOIN relations r CROSS JOIN concepts t CROSS JOIN edges e {more}
WHERE h.key = ?1 AND r.name = ?2 AND t.key = ?3
  AND e.head = h.id AND e.relation = r.id AND e.tail = t.id AND {ranks}
"""
_RANKS = ("e.rank < 64", "e.rank >= 64")
_FOUND_AMONG = """
SELECT z.key FROM json_each(?1) z
CROSS JOIN concepts h ON h.key = json_extract(z.value, '$[0]')
CROSS JOIN relations r ON r.name = json_extract(z.value, '$[1]')
CROSS JOIN concepts t ON t.key = json_extract(z.value, '$[2]')
CROSS JOIN edges e ON e.head = h.id AND e.relation = r.id AND e.tail = t.id AND {ranks}
"""
FIND_EDGES = " UNION ALL ".join(_FOUND_AMONG.format(ranks=ranks) for ranks in _RANKS)
"""The places, in a JSON list of [head, relation, tail], of the edges that the base has."""

# What loaders ask an existing base.

COUNT_RELATIONS = """
SELECT r.name, COUNT(*) FROM edges e JOIN relations r ON r.id = e.relation
GROUP BY e.relation ORDER BY r.name
"""
FIND_WHOLE_EDGE = " UNION ALL ".join(
    _FOUND.format(
        columns="e.weight, s.dataset, s.license",
        more="JOIN sources s ON s.id = e.source",
        ranks=ranks,
    )
    for ranks in _RANKS
)
LARGEST_HUBS = """
WITH ends AS (
  SELECT head AS concept, COUNT(*) AS edges FROM edges GROUP BY head
  UNION ALL SELECT tail, COUNT(*) FROM edges GROUP BY tail
)
SELECT c.text, SUM(ends.edges) AS edges FROM ends JOIN concepts c ON c.id = ends.concept
GROUP BY ends.concept ORDER BY edges DESC, c.key LIMIT ?
"""

# The overlays.

OVERLAY_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (user TEXT PRIMARY KEY, overlay_id TEXT NOT NULL, revision INTEGER NOT NULL) \
WITHOUT ROWID;
-- counts erasures by a hash of the user, so that an erased user leaves no name behind
CREATE TABLE erasures (bucket INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
-- the truth: a row for each edit, with the whole edit in `body`
CREATE TABLE edits (
  user TEXT NOT NULL, revision INTEGER NOT NULL, id TEXT NOT NULL, time_ms INTEGER NOT NULL, \
reverts TEXT,
  request_id TEXT, content_hash TEXT, response BLOB, body TEXT NOT NULL,
  PRIMARY KEY (user, revision)
) WITHOUT ROWID;
CREATE UNIQUE INDEX edits_by_id ON edits (user, id);
CREATE UNIQUE INDEX edits_by_request ON edits (user, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX edits_by_reverted ON edits (user, reverts) WHERE reverts IS NOT NULL;
-- derived from the log. `python -m server check` rebuilds and compares it
CREATE TABLE touches (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL, \
revision INTEGER NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL, changed INTEGER NOT NULL,
  origin TEXT, stamp_revision INTEGER, stamp_position INTEGER,
  PRIMARY KEY (user, head, relation, tail, revision)
) WITHOUT ROWID;
CREATE INDEX touches_by_tail ON touches (user, tail, relation, head, revision);
CREATE TABLE overlay (
  user TEXT NOT NULL, head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL,
  head_text TEXT NOT NULL, tail_text TEXT NOT NULL,
  origin TEXT NOT NULL, stamp_revision INTEGER NOT NULL, stamp_position INTEGER NOT NULL,
  PRIMARY KEY (user, head, relation, tail)
) WITHOUT ROWID;
"""
OVERLAY_INDEXES_1 = """
CREATE INDEX overlay_by_tail ON overlay (user, tail, relation, head);
CREATE INDEX overlay_by_age ON overlay (user, stamp_revision DESC, stamp_position DESC);
"""
# Version 2's indexes of marks, in place of version 1's.
OVERLAY_INDEXES_2 = """
DROP INDEX IF EXISTS overlay_by_tail;
DROP INDEX IF EXISTS overlay_by_age;
-- each in the order in which pages list marks, the newest first
CREATE INDEX overlay_by_age
  ON overlay (user, stamp_revision DESC, stamp_position DESC, head DESC, relation DESC, tail DESC);
CREATE INDEX overlay_at_head
  ON overlay (user, head, stamp_revision DESC, stamp_position DESC, relation DESC, tail DESC);
CREATE INDEX overlay_at_tail
  ON overlay (user, tail, stamp_revision DESC, stamp_position DESC, relation DESC, head DESC);
CREATE INDEX touches_by_age
  ON touches (user, stamp_revision DESC, stamp_position DESC, head DESC, relation DESC, tail DESC)
  WHERE origin IS NOT NULL;
"""
RESPONSES_SCHEMA = """
-- for requests that changed nothing. `number` counts up, so that the oldest can be dropped
CREATE TABLE responses (
  user TEXT NOT NULL, request_id TEXT NOT NULL, number INTEGER NOT NULL, \
content_hash TEXT NOT NULL, response BLOB NOT NULL,
  PRIMARY KEY (user, request_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX responses_by_age ON responses (user, number);
-- what an erase with a request id removed, by a hash that reveals neither user nor id
CREATE TABLE erased_requests (
  digest BLOB PRIMARY KEY, time_ms INTEGER NOT NULL, edits INTEGER NOT NULL, added INTEGER NOT NULL,
  removed INTEGER NOT NULL, concepts INTEGER NOT NULL, responses INTEGER NOT NULL
) WITHOUT ROWID;
"""
TOMBSTONES_SCHEMA = """
-- the random ids of erased overlays, for copies of this file that still have them
CREATE TABLE tombstones (overlay_id TEXT PRIMARY KEY, time_ms INTEGER NOT NULL) WITHOUT ROWID;
"""
CONNECTION_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA foreign_keys = ON;
"""
TRUNCATE_WAL = "PRAGMA wal_checkpoint(TRUNCATE)"
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
# A note that bytes of erased users may be left in the file, and from which page on.
OWE_SCRUB = "INSERT OR REPLACE INTO meta (key, value) VALUES ('scrub_from_page', '0')"
PUT_SCRUB = "UPDATE meta SET value = ? WHERE key = 'scrub_from_page'"
GET_SCRUB = "SELECT value FROM meta WHERE key = 'scrub_from_page'"
VACUUM = "VACUUM"
VACUUM_INTO = "VACUUM INTO ?"
"""Writes a whole copy, as of one moment, without the gaps that erased rows leave."""
DROP_SCRUB = "DELETE FROM meta WHERE key = 'scrub_from_page'"


def wait_for_locks(milliseconds: int) -> str:
    """Set how long later statements wait for locks that others hold."""
    return f"PRAGMA busy_timeout = {int(milliseconds)}"


GET_USER = "SELECT overlay_id, revision FROM users WHERE user = ?"
PUT_USER = "INSERT OR REPLACE INTO users (user, overlay_id, revision) VALUES (?, ?, ?)"
GET_EPOCH = "SELECT epoch FROM erasures WHERE bucket = ?"
SUM_EPOCHS = "SELECT COALESCE(SUM(epoch), 0) FROM erasures"
NEXT_EPOCH = """
INSERT INTO erasures (bucket, epoch) VALUES (?, 1)
ON CONFLICT (bucket) DO UPDATE SET epoch = epoch + 1
"""
ALL_USERS = "SELECT user, overlay_id, revision FROM users ORDER BY user"
OVERLAYS_PAGE = "SELECT user, overlay_id, revision FROM users WHERE user > ? ORDER BY user LIMIT ?"
ANY_USER = "SELECT 1 FROM users LIMIT 1"
COUNT_USERS = "SELECT COUNT(*) FROM users"
COUNT_EDITS = "SELECT COUNT(*) FROM edits"

INSERT_EDIT = """
INSERT INTO edits (user, revision, id, time_ms, reverts, request_id, content_hash, response, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_TOUCH = """
INSERT INTO touches (user, head, relation, tail, revision, head_text, tail_text, changed,
  origin, stamp_revision, stamp_position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
PUT_MARK = """
INSERT OR REPLACE INTO overlay (user, head, relation, tail, head_text, tail_text,
  origin, stamp_revision, stamp_position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
DROP_MARK = "DELETE FROM overlay WHERE user = ? AND head = ? AND relation = ? AND tail = ?"


class Timed(NamedTuple):
    """One question about a user's marks in two forms: for now, and for `:revision`."""

    now: str
    then: str


# How the overlay was: the latest change of each triple up to the revision. A change without an
# origin left the triple as the base has it.
_AS_IT_WAS = """
o.origin IS NOT NULL AND o.revision <= :revision AND NOT EXISTS (
  SELECT 1 FROM touches l
  WHERE l.user = o.user AND l.head = o.head AND l.relation = o.relation AND l.tail = o.tail
    AND l.revision > o.revision AND l.revision <= :revision AND l.changed
)"""


def _timed(query: str) -> Timed:
    # The planner cannot know how many marks a user has, nor at how many concepts, so the queries
    # name the index to use
    now = query.format(
        marks="overlay o",
        at_head="overlay o INDEXED BY overlay_at_head",
        at_tail="overlay o INDEXED BY overlay_at_tail",
        by_age="overlay o INDEXED BY overlay_by_age",
        so="1",
    )
    then = query.format(
        marks="touches o",
        at_head="touches o INDEXED BY sqlite_autoindex_touches_1",  # the primary key
        at_tail="touches o INDEXED BY touches_by_tail",
        by_age="touches o INDEXED BY touches_by_age",
        so=_AS_IT_WAS,
    )
    return Timed(now, then)


_MARK = """
o.head, o.relation, o.tail, o.head_text, o.tail_text, o.origin, o.stamp_revision, o.stamp_position
"""
# A mark on a symmetric triple is seen from both ends.
_AT_HEAD = f"SELECT {_MARK} FROM {{at_head}} WHERE o.user = :user AND o.head = :head AND {{so}}"
_AT_TAIL = f"""
SELECT {_MARK} FROM {{at_tail}} WHERE o.user = :user AND o.tail = :head AND o.head <> :head
  AND o.relation IN (SELECT value FROM json_each(:symmetric)) AND {{so}}"""
ALL_MARKS = f"SELECT {_MARK} FROM overlay o WHERE o.user = :user"
MARKS_AT = _timed(f"{_AT_HEAD} UNION ALL {_AT_TAIL}")
MARKS_OF = _timed(f"""
SELECT {_MARK}, z.key FROM json_each(:triples) z CROSS JOIN {{marks}} ON o.user = :user
  AND o.head = json_extract(z.value, '$[0]') AND o.relation = json_extract(z.value, '$[1]')
  AND o.tail = json_extract(z.value, '$[2]')
WHERE {{so}}
""")
# A page goes on along an index behind the mark that its cursor names, so it costs what it holds.
PAGE_OF_MARKS_AT = _timed(f"""
SELECT * FROM (
  {_AT_HEAD} AND (o.stamp_revision, o.stamp_position, o.relation, o.tail)
    < (:stamp_revision, :stamp_position, :relation, :other)
  ORDER BY o.stamp_revision DESC, o.stamp_position DESC, o.relation DESC, o.tail DESC LIMIT :count
) UNION ALL SELECT * FROM (
  {_AT_TAIL} AND (o.stamp_revision, o.stamp_position, o.relation, o.head)
    < (:stamp_revision, :stamp_position, :relation, :other)
  ORDER BY o.stamp_revision DESC, o.stamp_position DESC, o.relation DESC, o.head DESC LIMIT :count
)
""")
PAGE_OF_FACTS = _timed(f"""
SELECT {_MARK}, e.id, e.time_ms
FROM {{by_age}} LEFT JOIN edits e ON e.user = o.user AND e.revision = o.stamp_revision
WHERE o.user = :user AND {{so}} AND (o.stamp_revision, o.stamp_position, o.head, o.relation, o.tail)
  < (:stamp_revision, :stamp_position, :head, :relation, :tail)
ORDER BY o.stamp_revision DESC, o.stamp_position DESC, o.head DESC, o.relation DESC, o.tail DESC
LIMIT :count
""")
PERSONAL_AT_HEADS = _timed("""
SELECT o.head, o.head_text, COUNT(*)
FROM json_each(:keys) k CROSS JOIN {marks} ON o.user = :user AND o.head = k.value
WHERE o.origin = 'added' AND {so} GROUP BY o.head
""")
PERSONAL_AT_TAILS = _timed("""
SELECT o.tail, o.tail_text
FROM json_each(:keys) k CROSS JOIN {at_tail} ON o.user = :user AND o.tail = k.value
WHERE o.origin = 'added' AND {so} GROUP BY o.tail
""")
EDIT_COLUMNS = "CAST(e.body AS BLOB), e.id, e.revision, e.time_ms"
"""The body comes as bytes, since pages are measured in them."""
EDITS_PAGE = f"""
SELECT {EDIT_COLUMNS} FROM edits e WHERE user = ? AND revision <= ?
ORDER BY revision DESC LIMIT ?
"""
EDITS_ALL = f"SELECT {EDIT_COLUMNS} FROM edits e WHERE user = ? ORDER BY revision"
EDIT_BY_ID = f"SELECT {EDIT_COLUMNS} FROM edits e WHERE user = ? AND id = ?"
EDITS_TOUCHING = f"""
SELECT {EDIT_COLUMNS} FROM edits e WHERE e.user = ?1 AND e.revision IN (
  SELECT t.revision FROM json_each(?2) z CROSS JOIN touches t ON t.user = ?1
    AND t.head = json_extract(z.value, '$[0]') AND t.relation = json_extract(z.value, '$[1]')
    AND t.tail = json_extract(z.value, '$[2]')
  WHERE t.revision > ?3
) ORDER BY e.revision
"""
REVERTS = "SELECT id, reverts FROM edits WHERE user = ? AND reverts IS NOT NULL ORDER BY revision"
RESPONSE = """
SELECT request_id, content_hash, response FROM edits WHERE user = ?1 AND request_id = ?2
UNION ALL
SELECT request_id, content_hash, response FROM responses WHERE user = ?1 AND request_id = ?2
"""
PUT_RESPONSE = """
INSERT INTO responses (user, request_id, content_hash, response, number)
SELECT ?1, ?2, ?3, ?4, COALESCE(MAX(number), 0) + 1 FROM responses WHERE user = ?1
"""
DROP_OLD_RESPONSES = """
DELETE FROM responses
WHERE user = ?1 AND number <= (SELECT MAX(number) FROM responses WHERE user = ?1) - ?2
"""

ERASED_REQUEST = """
SELECT edits, added, removed, concepts, responses FROM erased_requests
WHERE digest = ? AND time_ms > ?
"""
PUT_ERASED_REQUEST = """
INSERT OR REPLACE INTO erased_requests (digest, time_ms, edits, added, removed, concepts, responses)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
DROP_OLD_ERASED_REQUESTS = "DELETE FROM erased_requests WHERE time_ms <= ?"
COUNT_USER_EDITS = """
SELECT COUNT(*), COUNT(response) + (SELECT COUNT(*) FROM responses WHERE user = ?1)
FROM edits WHERE user = ?1
"""
USAGE = """
SELECT (SELECT COUNT(*) FROM overlay WHERE user = ?1),
  (SELECT COALESCE(SUM(LENGTH(CAST(body AS BLOB))), 0) FROM edits WHERE user = ?1)
"""
COUNT_USER_MARKS = "SELECT origin, COUNT(*) FROM overlay WHERE user = ? GROUP BY origin"
USER_CONCEPTS = """
SELECT head FROM overlay WHERE user = ?1 AND origin = 'added'
UNION SELECT tail FROM overlay WHERE user = ?1 AND origin = 'added'
"""
ERASE = (
    "DELETE FROM overlay WHERE user = ?",
    "DELETE FROM touches WHERE user = ?",
    "DELETE FROM edits WHERE user = ?",
    "DELETE FROM responses WHERE user = ?",
    "DELETE FROM users WHERE user = ?",
)
PUT_TOMBSTONE = "INSERT OR IGNORE INTO tombstones (overlay_id, time_ms) VALUES (?, ?)"
PUT_TOMBSTONE_OF = """
INSERT OR IGNORE INTO tombstones (overlay_id, time_ms)
SELECT overlay_id, ?2 FROM users WHERE user = ?1
"""
ALL_TOMBSTONES = "SELECT overlay_id, time_ms FROM tombstones"
TOMBSTONES_PAGE = """
SELECT overlay_id, time_ms FROM tombstones WHERE overlay_id > ? ORDER BY overlay_id LIMIT ?
"""
BURIED_USERS = """
SELECT user FROM users WHERE overlay_id IN (SELECT overlay_id FROM tombstones) ORDER BY user
"""
DROP_RESPONSES_WITHOUT_OVERLAY = "DELETE FROM responses WHERE user NOT IN (SELECT user FROM users)"
CHECKED_TOUCHES = """
SELECT head, relation, tail, revision, head_text, tail_text, changed,
  origin, stamp_revision, stamp_position
FROM touches WHERE user = ?
"""
INTEGRITY = "PRAGMA integrity_check(1)"

# Keys that are derived anew (rekeying.py). A text of printable ASCII keeps its key.
CONCEPTS_TO_REKEY = """
SELECT DISTINCT user, head, head_text, tail, tail_text FROM touches
WHERE head_text GLOB '*[^ -~]*' OR tail_text GLOB '*[^ -~]*'
"""
DROP_TOUCHES = "DELETE FROM touches WHERE user = ?"
DROP_MARKS = "DELETE FROM overlay WHERE user = ?"
REWRITE_EDIT = "UPDATE edits SET body = ? WHERE user = ? AND revision = ?"
QUICK_INTEGRITY = "PRAGMA quick_check(1)"
