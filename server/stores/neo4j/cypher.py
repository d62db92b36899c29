"""The graph's schema, and every Cypher statement by name.

No statement is built from text that comes from outside.

    (:Concept {uri, text, language, retrievable, generation})
        the base's concepts; uri is unique
    (:Concept)-[:IsA|UsedFor|... {weight, dataset, license, surface_text, merged, rank,
        back_rank}]->(:Concept)
        an edge of the base
    (:Concept)-[:CUSTOM {relation, ...the same}]->(:Concept)
        a relation outside BASE_TYPES
    (:PersonalConcept {owner, key, user, uri, text})
        one user's own; key is unique
    ()-[:ADDED|DELETED {owner, head, tail, triple, age, user, subject, relation, object,
        subject_text, object_text, edit, revision, position, time_ms, retrieval_before,
        retrieval_after, reasoning, reasoning_answer_before, owned}]->()
        one mark of a user's overlay; owned is true where the subject is the user's own ("my dog")
    (:User {owner, id, revision, overlay_id})
        owner is unique; without overlay_id before the first edit
    (:Edit {owner, revision, key, id, kind, time_ms, body, ...})
        the truth; see server.stores.neo4j.rows
    (:Response {owner, number, request, request_id, content_hash, response})
        of a request that changed nothing
    (:ErasedRequest {digest, time_ms, ...})
        what an erase with a request id removed
    (:Tombstone {overlay_id, time_ms})
        which overlay an erase removed, for copies of the graph that still have it
    (:Due {id: 1, texts, records})
        how much was erased and has no blanks over it yet
    (:Blank {...})
        over what was erased; see server.stores.neo4j.blanks
    (:Erasures {bucket, epoch})
        counts erasures by a hash of the user
    (:Graph {id: 1, schema_version, state, fingerprint, page_key, ...})
        what the base is, whether it is being loaded, and what page tokens are signed with
    (:Lane {number, generation, stage, position, put})
        how far each lane of a load is, as long as it runs

Neo4j never clears an index's entry that is deleted, so indexes hold nothing of a user that can be
read: `owner`, `head`, `tail`, `triple`, `key` and `request` are digests (server.stores.neo4j.rows),
and `age` is a mark's stamp in digits. The texts next to them are for people who look, and for the
answer.

A concept's `uri` is its key (server.graph.concept). One that is too long for an index is cut and
ends in its hash. The properties of an overlay edge are the truth; its end nodes are there for
people who look. `rank` is a base edge's place among its head's edges of the relation: the heaviest
has 0, and there are no gaps. `back_rank` is the same at its tail. Only edges of symmetric relations
have it: they are stored once and read from both ends. `surface_text` is what the heaviest of the
`merged` lines that became the edge says in words, if it says anything.
"""

from __future__ import annotations

from server.stores.rules.revisions import UNNAMED

SCHEMA_VERSION = 3
"""Version 1 had users' texts in its indexes. It had neither responses without an edit nor erased
requests. Version 2 had no tombstones."""

DIRECTED_TYPES = (
    "Desires", "NotDesires", "AtLocation", "IsA", "NotIsA", "InstanceOf", "HasProperty",
    "NotHasProperty", "HasA", "NotHasA", "PartOf", "MadeOf", "NotMadeOf", "UsedFor", "NotUsedFor",
    "CapableOf", "NotCapableOf", "ReceivesAction", "CreatedBy", "Causes", "CausesDesire",
    "MotivatedByGoal", "HasPrerequisite", "HasSubevent", "HasFirstSubevent", "HasLastSubevent",
    "Entails", "MannerOf", "ObstructedBy", "DefinedAs", "SymbolOf", "HasContext", "FormOf",
    "DerivedFrom", "EtymologicallyDerivedFrom", "ExternalURL", "dbpedia/capital", "dbpedia/field",
    "dbpedia/genre", "dbpedia/genus", "dbpedia/influencedBy", "dbpedia/knownFor",
    "dbpedia/language", "dbpedia/leader", "dbpedia/occupation", "dbpedia/product",
)  # fmt: skip
SYMMETRIC_TYPES = (
    "LocatedNear", "SimilarTo", "Antonym", "DistinctFrom", "RelatedTo", "Synonym",
    "EtymologicallyRelatedTo",
)  # fmt: skip
CUSTOM = "CUSTOM"
ADDED = "ADDED"
DELETED = "DELETED"
BASE_TYPES = (*DIRECTED_TYPES, *SYMMETRIC_TYPES, CUSTOM)
"""The closed list of types of base edges. A test compares it with the vocabulary."""

LOADING, READY = "loading", "ready"

# Types are joined only from the lists above. A name with a slash needs its backticks.
_BASE = "|".join(f"`{name}`" for name in BASE_TYPES)
_BOTH_WAYS = "|".join(f"`{name}`" for name in (*SYMMETRIC_TYPES, CUSTOM))

# The schema. Servers that start together all run it, hence IF NOT EXISTS.

BASE_SCHEMA = (
    "CREATE CONSTRAINT concept_uri IF NOT EXISTS FOR (c:Concept) REQUIRE c.uri IS UNIQUE",
    "CREATE CONSTRAINT graph_id IF NOT EXISTS FOR (g:Graph) REQUIRE g.id IS UNIQUE",
)
"""What a base needs. A loader makes only this; the server makes the rest when it first starts."""
SCHEMA = (
    *BASE_SCHEMA,
    "CREATE CONSTRAINT user_owner IF NOT EXISTS FOR (u:User) REQUIRE u.owner IS UNIQUE",
    "CREATE CONSTRAINT personal_key IF NOT EXISTS FOR (c:PersonalConcept) REQUIRE c.key IS UNIQUE",
    "CREATE INDEX personal_owner IF NOT EXISTS FOR (c:PersonalConcept) ON (c.owner)",
    "CREATE CONSTRAINT edit_owner IF NOT EXISTS"
    " FOR (e:Edit) REQUIRE (e.owner, e.revision) IS UNIQUE",
    "CREATE CONSTRAINT edit_key IF NOT EXISTS FOR (e:Edit) REQUIRE e.key IS UNIQUE",
    "CREATE CONSTRAINT edit_answered IF NOT EXISTS FOR (e:Edit) REQUIRE e.request IS UNIQUE",
    "CREATE INDEX edit_undoing IF NOT EXISTS FOR (e:Edit) ON (e.owner, e.undoing)",
    "CREATE CONSTRAINT response_request IF NOT EXISTS FOR (r:Response) REQUIRE r.request IS UNIQUE",
    "CREATE INDEX response_number IF NOT EXISTS FOR (r:Response) ON (r.owner, r.number)",
    "CREATE CONSTRAINT erased_request IF NOT EXISTS"
    " FOR (r:ErasedRequest) REQUIRE r.digest IS UNIQUE",
    "CREATE INDEX erased_time IF NOT EXISTS FOR (r:ErasedRequest) ON (r.time_ms)",
    "CREATE CONSTRAINT tombstone IF NOT EXISTS FOR (t:Tombstone) REQUIRE t.overlay_id IS UNIQUE",
    "CREATE CONSTRAINT due_id IF NOT EXISTS FOR (d:Due) REQUIRE d.id IS UNIQUE",
    "CREATE CONSTRAINT erasures_bucket IF NOT EXISTS FOR (b:Erasures) REQUIRE b.bucket IS UNIQUE",
    "CREATE CONSTRAINT added_mark IF NOT EXISTS FOR ()-[m:ADDED]-() REQUIRE m.triple IS UNIQUE",
    "CREATE CONSTRAINT deleted_mark IF NOT EXISTS FOR ()-[m:DELETED]-() REQUIRE m.triple IS UNIQUE",
    "CREATE INDEX added_head IF NOT EXISTS FOR ()-[m:ADDED]-() ON (m.head, m.age)",
    "CREATE INDEX added_tail IF NOT EXISTS FOR ()-[m:ADDED]-() ON (m.tail, m.age)",
    "CREATE INDEX added_age IF NOT EXISTS FOR ()-[m:ADDED]-() ON (m.owner, m.age)",
    "CREATE INDEX deleted_head IF NOT EXISTS FOR ()-[m:DELETED]-() ON (m.head, m.age)",
    "CREATE INDEX deleted_tail IF NOT EXISTS FOR ()-[m:DELETED]-() ON (m.tail, m.age)",
    "CREATE INDEX deleted_age IF NOT EXISTS FOR ()-[m:DELETED]-() ON (m.owner, m.age)",
)
OLD_SCHEMA = (
    "DROP CONSTRAINT personal_concept IF EXISTS",
    "DROP CONSTRAINT user_id IF EXISTS",
    "DROP CONSTRAINT edit_revision IF EXISTS",
    "DROP CONSTRAINT edit_request IF EXISTS",
    "DROP CONSTRAINT edit_id IF EXISTS",
    "DROP INDEX edit_reverts IF EXISTS",
    "DROP CONSTRAINT added_triple IF EXISTS",
    "DROP CONSTRAINT deleted_triple IF EXISTS",
    "DROP INDEX added_subject IF EXISTS",
    "DROP INDEX added_object IF EXISTS",
    "DROP INDEX deleted_subject IF EXISTS",
    "DROP INDEX deleted_object IF EXISTS",
)
"""What else version 1 had. It is dropped when all users are at version 2."""
AWAIT_INDEXES = "CALL db.awaitIndexes(120)"
CLAIM_GRAPH = """
MERGE (g:Graph {id: 1})
ON CREATE SET g.schema_version = $version, g.state = 'ready', g.fingerprint = ''
RETURN g.schema_version AS schema_version
"""
SHARE_PAGE_KEY = """
MATCH (g:Graph {id: 1})
SET g.page_key = coalesce(g.page_key, $made)
RETURN g.page_key AS page_key
"""
RELATIONSHIP_TYPES = (
    "CALL db.relationshipTypes() YIELD relationshipType RETURN collect(relationshipType) AS types"
)

# Where things stand. Every statement of a read says so (server.stores.neo4j.reading).

STAND = """
OPTIONAL MATCH (u:User {owner: $owner})
OPTIONAL MATCH (b:Erasures {bucket: $bucket})
OPTIONAL MATCH (g:Graph {id: 1})
WITH coalesce(u.revision, 0) AS latest, u.overlay_id AS overlay_id, coalesce(b.epoch, 0) AS epoch,
     g.state AS state, coalesce(g.fingerprint, '') AS fingerprint
"""
STAND_COLUMNS = "latest, overlay_id, epoch, state, fingerprint"
WHERE_IT_STANDS = f"{STAND} RETURN {STAND_COLUMNS}"
WHERE_THEY_STAND = """
UNWIND range(0, size($users) - 1) AS at
WITH at, $users[at] AS asked
OPTIONAL MATCH (u:User {owner: asked.owner})
OPTIONAL MATCH (b:Erasures {bucket: asked.bucket})
RETURN coalesce(u.revision, 0) AS latest, u.overlay_id AS overlay_id,
       coalesce(b.epoch, 0) AS epoch
ORDER BY at
"""
ALL_ERASURES = "MATCH (b:Erasures) RETURN sum(b.epoch) AS erasures"

# What an overlay says. Each statement finds overlay edges by an index on their own properties, and
# never expands a concept.

_MARK = (
    "m {.age, .subject, .relation, .object, .subject_text, .object_text, .revision, .position,"
    " .edit, .time_ms, type: type(m)}"
)


def _marks(subquery: str) -> str:
    """Reads where things stand, and the marks that `subquery` yields as `m`.

    `subquery` is a constant of this file.
    """
    return f"""
{STAND}
CALL () {{
  CALL () {{ {subquery} }}
  RETURN collect({_MARK}) AS marks
}}
RETURN {STAND_COLUMNS}, marks
"""


# A concept's own marks: those of triples that start there, and symmetric ones that end there. If
# the order names all properties of an index, the index gives them in order and is read no further
# than asked.


def _at(type: str, *, newest: bool = False) -> str:
    """The marks of one overlay type at a concept: all of them, or the newest `count` at each end.

    `type` is a constant of this file.
    """
    first = "ORDER BY m.{0} DESC, m.age DESC LIMIT $count" if newest else ""
    return f"""
  MATCH ()-[m:{type}]->() USING INDEX m:{type}(head, age) WHERE m.head = $key AND m.age < $before
  RETURN m {first.format("head")}
  UNION ALL
  MATCH ()-[m:{type}]->() USING INDEX m:{type}(tail, age)
  WHERE m.tail = $key AND m.age < $before AND m.relation IN $symmetric AND m.head <> $key
  RETURN m {first.format("tail")}
"""


MARKS_AT = _marks(f"{_at(ADDED)} UNION ALL {_at(DELETED)}")
MARKS_AT_PAGE = _marks(f"{_at(ADDED, newest=True)} UNION ALL {_at(DELETED, newest=True)}")
"""The newest `count` of each kind that are older than the age `before`."""
MARKS_ON = _marks("""
  UNWIND $marked AS triple
  MATCH ()-[m:ADDED {triple: triple}]->() USING INDEX m:ADDED(triple) RETURN m
  UNION ALL
  UNWIND $marked AS triple
  MATCH ()-[m:DELETED {triple: triple}]->() USING INDEX m:DELETED(triple) RETURN m
""")
FACTS_PAGE = _marks("""
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(owner, age)
  WHERE m.owner = $owner AND m.age < $before
  RETURN m ORDER BY m.owner DESC, m.age DESC LIMIT $count
  UNION ALL
  MATCH ()-[m:DELETED]->() USING INDEX m:DELETED(owner, age)
  WHERE m.owner = $owner AND m.age < $before
  RETURN m ORDER BY m.owner DESC, m.age DESC LIMIT $count
""")
ALL_MARKS = _marks("""
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(owner, age)
  WHERE m.owner = $owner AND m.age > '' RETURN m
  UNION ALL
  MATCH ()-[m:DELETED]->() USING INDEX m:DELETED(owner, age)
  WHERE m.owner = $owner AND m.age > '' RETURN m
""")
PERSONAL_AMONG = f"""
{STAND}
CALL () {{
  UNWIND $keys AS key
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(head, age) WHERE m.head = key AND m.age > ''
  WITH m.subject AS uri, max(m.subject_text) AS text, count(*) AS triples
  RETURN collect({{uri: uri, text: text, triples: triples}}) AS heads
}}
CALL () {{
  UNWIND $keys AS key
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(tail, age) WHERE m.tail = key AND m.age > ''
  WITH m.object AS uri, max(m.object_text) AS text
  RETURN collect({{uri: uri, text: text}}) AS tails
}}
RETURN {STAND_COLUMNS}, heads, tails
"""

# The base. `uris` are the spellings of one concept's key, the likeliest first. Triples are asked
# for by rows, and `at` is a triple's place among them.

_EXPAND = f"""
  UNWIND $uris AS spelling
  MATCH (c:Concept {{uri: spelling}})
  WITH c LIMIT 1
  CALL (c) {{
    MATCH (c)-[r:{_BASE}]->()
    RETURN r, CASE type(r) WHEN 'CUSTOM' THEN r.relation ELSE type(r) END AS relation,
           0 AS side, r.rank AS rank
    UNION ALL
    MATCH (c)<-[r:{_BOTH_WAYS}]-() WHERE r.back_rank IS NOT NULL
    RETURN r, CASE type(r) WHEN 'CUSTOM' THEN r.relation ELSE type(r) END AS relation,
           1 AS side, r.back_rank AS rank
  }}
"""
_AS_ROW = """{
    relation: relation, side: side, rank: rank,
    weight: r.weight, dataset: r.dataset, license: r.license,
    uri: CASE side WHEN 0 THEN endNode(r).uri ELSE startNode(r).uri END,
    text: CASE side WHEN 0 THEN endNode(r).text ELSE startNode(r).text END
  }"""
_IN_BASE = f"""
CALL () {{
  UNWIND $triples AS t
  WITH t.at AS at, t
  OPTIONAL MATCH (h:Concept {{uri: t.subject}})
  OPTIONAL MATCH (o:Concept {{uri: t.object}})
  WITH at, t, h, o WHERE h IS NOT NULL AND o IS NOT NULL
  MATCH (h)-[r:{_BASE}]->(o)
  WHERE CASE type(r) WHEN 'CUSTOM' THEN r.relation ELSE type(r) END = t.relation
  RETURN collect(DISTINCT at) AS in_base
}}
"""
IN_BASE = f"{STAND} {_IN_BASE} RETURN {STAND_COLUMNS}, in_base"
BASE_SLICES = f"""
{STAND} {_IN_BASE}
CALL () {{
  {_EXPAND}
  WITH relation, side, count(*) AS count,
       collect(CASE WHEN rank < $limit THEN {{r: r, rank: rank}} END) AS kept
  RETURN collect({{relation: relation, count: count, edges: [k IN kept | {{
    side: side, rank: k.rank, weight: k.r.weight, dataset: k.r.dataset, license: k.r.license,
    uri: CASE side WHEN 0 THEN endNode(k.r).uri ELSE startNode(k.r).uri END,
    text: CASE side WHEN 0 THEN endNode(k.r).text ELSE startNode(k.r).text END
  }}]}}) AS slices
}}
RETURN {STAND_COLUMNS}, in_base, slices
"""
BASE_PAGE = f"""
{STAND}
CALL () {{
  {_EXPAND}
  WITH r, relation, side, rank
  WHERE relation > $relation
    OR (relation = $relation AND (side > $side OR (side = $side AND rank >= $rank)))
  WITH r, relation, side, rank ORDER BY relation, side, rank LIMIT $count
  RETURN collect({_AS_ROW}) AS edges
}}
RETURN {STAND_COLUMNS}, edges
"""
CONCEPTS = f"""
{STAND}
CALL () {{
  UNWIND $uris AS uri
  MATCH (c:Concept {{uri: uri}})
  CALL (c) {{
    MATCH (c)-[r:FormOf]->(o) WITH r, o ORDER BY r.rank
    RETURN collect({{uri: o.uri, text: o.text}}) AS forms
  }}
  RETURN collect(c {{.uri, .text, .retrievable, forms: forms}}) AS concepts
}}
RETURN {STAND_COLUMNS}, concepts
"""

# The log of edits.


def _edits(subquery: str) -> str:
    """Reads where things stand, and the edits `e` that `subquery` matches and orders.

    `subquery` is a constant of this file.
    """
    return f"""{STAND} CALL () {{ {subquery}
  RETURN collect(e {{.body, .id, .revision, .time_ms}}) AS edits }}
RETURN {STAND_COLUMNS}, edits"""


_OF_OWNER = "MATCH (e:Edit) USING INDEX e:Edit(owner, revision) WHERE e.owner = $owner AND"
EDITS_PAGE = _edits(f"""
  {_OF_OWNER} e.revision <= $revision
  WITH e ORDER BY e.revision DESC LIMIT $count
""")
EDITS_ALL = _edits(f"{_OF_OWNER} e.revision >= 0 WITH e ORDER BY e.revision")
EDITS_UP_TO = _edits(f"""
  {_OF_OWNER} e.revision <= $revision
    AND ($uris IS NULL OR any(uri IN e.concepts WHERE uri IN $uris))
  WITH e ORDER BY e.revision
""")
EDITS_TOUCHING = _edits(f"""
  {_OF_OWNER} e.revision > $revision AND any(triple IN e.touches WHERE triple IN $touches)
  WITH e ORDER BY e.revision
""")
EDIT_BY_ID = _edits("MATCH (e:Edit {key: $key})")
SIZES_OF_EDITS = f"""
{STAND}
CALL () {{
  {_OF_OWNER} e.revision <= $revision
  WITH e ORDER BY e.revision DESC LIMIT $count
  RETURN collect({{revision: e.revision, bytes: coalesce(toIntegerOrNull(e.bytes), 0)}}) AS sizes
}}
RETURN {STAND_COLUMNS}, sizes
"""
REVERTS = f"""
{STAND}
CALL () {{
  MATCH (e:Edit) USING INDEX e:Edit(owner, undoing) WHERE e.owner = $owner AND e.undoing > 0
  WITH e ORDER BY e.undoing
  RETURN collect({{id: e.id, reverts: e.reverts}}) AS reverts
}}
RETURN {STAND_COLUMNS}, reverts
"""
RESPONSE = f"""
{STAND}
CALL () {{
  OPTIONAL MATCH (e:Edit {{request: $request}})
  OPTIONAL MATCH (r:Response {{request: $request}})
  RETURN coalesce(e, r) AS kept
}}
RETURN {STAND_COLUMNS}, kept IS NOT NULL AS answered, kept.request_id AS request_id,
       kept.content_hash AS content_hash, kept.response AS response
"""

# Writing. The lock is a write and comes before the reading, so what is compared after it cannot
# move.

_LOCKED = """
MERGE (u:User {owner: p.owner}) ON CREATE SET u.id = p.user, u.revision = 0
SET u.locked = true
WITH p, u
OPTIONAL MATCH (g:Graph {id: 1})
"""
LOCK_USER = f"""
WITH {{owner: $owner, user: $user}} AS p {_LOCKED}
RETURN g.state AS state, coalesce(g.fingerprint, '') AS fingerprint
"""


def _delete(kind: str) -> str:
    """The part of COMMIT that takes the marks of one overlay type off triples that have one.

    `kind` is a constant of this file.
    """
    return f"""CALL (p) {{
  UNWIND p.marked AS triple
  MATCH ()-[m:{kind} {{triple: triple}}]->() USING INDEX m:{kind}(triple) DELETE m
}}
"""


_PUT_ENDS = """CALL (p) {
  UNWIND p.concepts AS concept
  OPTIONAL MATCH (c:Concept) USING INDEX c:Concept(uri)
  WHERE c.uri >= concept.uri AND c.uri <= concept.uri
  OPTIONAL CALL (p, c, concept) {
    WITH p, c, concept WHERE c IS NULL
    MERGE (own:PersonalConcept {key: concept.key})
    ON CREATE SET own.owner = p.owner, own.user = p.user, own.uri = concept.uri
    SET own.text = concept.text
    RETURN own
  }
  RETURN collect(coalesce(c, own)) AS ends
}
"""
"""Finds or makes the ends of new marks: the base's concepts, or the user's own."""


def _create(kind: str, marks: str) -> str:
    """The part of COMMIT that puts new marks of one overlay type between their ends.

    `kind` and `marks` are constants of this file.
    """
    return f"""CALL (p, ends) {{
  UNWIND p.{marks} AS row
  WITH ends[row[0]] AS s, ends[row[1]] AS o, row[2] AS mark, row[3] AS earlier
  OPTIONAL MATCH (e:Edit {{owner: p.owner, revision: earlier}})
  CREATE (s)-[m:{kind}]->(o)
  SET m = mark, m.edit = coalesce(e.id, mark.edit), m.time_ms = coalesce(e.time_ms, mark.time_ms)
}}
"""


# A statement that writes locks the place in a unique index where it seeks a value and finds none,
# until it commits. Where other users may seek the same value, it seeks a range of that one value,
# which locks nothing.
_ON_SNAPSHOT = f"""
OPTIONAL MATCH (b:Erasures) USING INDEX b:Erasures(bucket)
WHERE b.bucket >= p.bucket AND b.bucket <= p.bucket
WITH p, u, coalesce(g.fingerprint, '') AS fingerprint
WHERE coalesce(g.state, '') <> 'loading' AND u.revision = p.computed_revision
  AND p.computed_overlay_id = coalesce(u.overlay_id, '{UNNAMED}' + toString(coalesce(b.epoch, 0)))
  AND NOT EXISTS {{ MATCH (:Edit {{request: p.request}}) }}
  AND NOT EXISTS {{ MATCH (:Response {{request: p.request}}) }}
"""
_ALL_OR_NOTHING = """RETURN max(fingerprint) AS fingerprint,
       1 / CASE WHEN count(*) = size($commits) THEN 1 ELSE 0 END AS made"""
"""The end of a statement that commits by itself. If a row is missing, the division by zero fails,
which rolls all of it back, with users' nodes that the locks have made."""
COMMIT = f"""
UNWIND $commits AS p {_LOCKED}{_ON_SNAPSHOT}
SET u.revision = p.revision, u.overlay_id = coalesce(u.overlay_id, p.new_overlay_id)
REMOVE u.locked
WITH p, fingerprint
CALL (p) {{
  UNWIND p.edits AS edit CREATE (e:Edit) SET e = edit
}}
{_delete(ADDED)}{_delete(DELETED)}
{_PUT_ENDS}{_create(ADDED, "added")}{_create(DELETED, "deleted")}
CALL (p) {{
  UNWIND p.left AS key
  MATCH (own:PersonalConcept {{key: key}}) WHERE NOT EXISTS {{ (own)--() }}
  DELETE own
}}
{_ALL_OR_NOTHING}
"""
"""Commits of different users. It locks each user, and compares where things stand with what the
edits were computed on. It writes the edits if these are the same for all, and fails otherwise."""
COMMIT_RESPONSE = f"""
UNWIND $commits AS p {_LOCKED}{_ON_SNAPSHOT}
REMOVE u.locked
WITH p, fingerprint
CALL (p) {{
  OPTIONAL MATCH (r:Response) USING INDEX r:Response(owner, number)
  WHERE r.owner = p.owner AND r.number > 0
  RETURN coalesce(max(r.number), 0) + 1 AS number
}}
CALL (p, number) {{
  CREATE (r:Response) SET r = p.kept, r.owner = p.owner, r.request = p.request, r.number = number
}}
CALL (p, number) {{
  MATCH (r:Response) USING INDEX r:Response(owner, number)
  WHERE r.owner = p.owner AND r.number <= number - p.most
  DELETE r
}}
{_ALL_OR_NOTHING}
"""
"""The same for requests that changed nothing. A response is kept, as are the newest `most`."""
ERASED_REQUEST = """
MATCH (r:ErasedRequest {digest: $digest}) WHERE r.time_ms > $oldest_ms
RETURN r {.edits, .added_triples, .removed_triples, .personal_concepts, .stored_responses} AS erased
"""
PUT_ERASED_REQUEST = """
MERGE (r:ErasedRequest {digest: $digest}) SET r = $erased, r.digest = $digest, r.time_ms = $now_ms
"""
DROP_OLD_ERASED_REQUESTS = "MATCH (r:ErasedRequest) WHERE r.time_ms <= $oldest_ms DELETE r"
USAGE = f"""
{STAND}
CALL () {{
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(owner, age) WHERE m.owner = $owner AND m.age > ''
  RETURN count(m) AS added
}}
CALL () {{
  MATCH ()-[m:DELETED]->() USING INDEX m:DELETED(owner, age) WHERE m.owner = $owner AND m.age > ''
  RETURN count(m) AS deleted
}}
CALL () {{
  {_OF_OWNER} e.revision >= 0
  RETURN sum(coalesce(toIntegerOrNull(e.bytes), 0)) AS history_bytes
}}
RETURN {STAND_COLUMNS}, added + deleted AS facts, history_bytes
"""
COUNT_OF_USER = f"""
CALL () {{
  {_OF_OWNER} e.revision >= 0
  RETURN count(e) AS edits, count(e.response) AS answered,
         sum(coalesce(toIntegerOrNull(e.bytes), 0)) AS bytes
}}
CALL () {{
  MATCH (r:Response) USING INDEX r:Response(owner, number) WHERE r.owner = $owner AND r.number > 0
  RETURN count(r) AS kept, sum(coalesce(size(r.response), 0)) AS kept_bytes
}}
CALL () {{
  MATCH ()-[m:DELETED]->() USING INDEX m:DELETED(owner, age) WHERE m.owner = $owner AND m.age > ''
  RETURN count(m) AS deleted
}}
CALL () {{
  MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(owner, age) WHERE m.owner = $owner AND m.age > ''
  RETURN count(m) AS added, collect(m.subject) + collect(m.object) AS ends
}}
CALL (ends) {{
  UNWIND ends AS uri WITH DISTINCT uri
  OPTIONAL MATCH (c:Concept {{uri: uri}})
  WITH c WHERE c IS NULL RETURN count(*) AS personal
}}
RETURN edits, answered + kept AS responses, deleted, added, personal, bytes + kept_bytes AS bytes
"""
ERASE = (
    "MATCH ()-[m:ADDED]->() USING INDEX m:ADDED(owner, age)"
    " WHERE m.owner = $owner AND m.age > '' DELETE m",
    "MATCH ()-[m:DELETED]->() USING INDEX m:DELETED(owner, age)"
    " WHERE m.owner = $owner AND m.age > '' DELETE m",
    "MATCH (p:PersonalConcept {owner: $owner}) USING INDEX p:PersonalConcept(owner) DELETE p",
    f"{_OF_OWNER} e.revision >= 0 DELETE e",
    "MATCH (r:Response) USING INDEX r:Response(owner, number)"
    " WHERE r.owner = $owner AND r.number > 0 DELETE r",
    "MATCH (u:User {owner: $owner}) DELETE u",
    "MERGE (b:Erasures {bucket: $bucket})"
    " ON CREATE SET b.epoch = 1 ON MATCH SET b.epoch = b.epoch + 1",
)

PUT_TOMBSTONE_OF = """
MATCH (u:User {owner: $owner}) WHERE u.overlay_id IS NOT NULL
MERGE (t:Tombstone {overlay_id: u.overlay_id}) ON CREATE SET t.time_ms = $now_ms
"""
PUT_TOMBSTONES = """
UNWIND $tombstones AS one
MERGE (t:Tombstone {overlay_id: one.overlay_id}) ON CREATE SET t.time_ms = one.time_ms
"""
TOMBSTONES_PAGE = """
MATCH (t:Tombstone) USING INDEX t:Tombstone(overlay_id) WHERE t.overlay_id > $behind
RETURN t.overlay_id AS overlay_id, t.time_ms AS time_ms ORDER BY t.overlay_id LIMIT $count
"""
_IS_BURIED = "u.overlay_id IS NULL OR EXISTS { MATCH (:Tombstone {overlay_id: u.overlay_id}) }"
BURIED_USERS = f"""
MATCH (u:User) WHERE {_IS_BURIED}
RETURN u.id AS user, u.overlay_id IS NOT NULL AS has_overlay
"""
IS_BURIED = f"""
OPTIONAL MATCH (u:User {{owner: $owner}})
RETURN u IS NOT NULL AND ({_IS_BURIED}) AS is_buried
"""
"""Whether a user who was found by BURIED_USERS still is, once their lock is held."""

# Over what was erased (server.stores.neo4j.blanks).

DUE = """
OPTIONAL MATCH (d:Due {id: 1})
RETURN coalesce(d.texts, 0) AS texts, coalesce(d.records, 0) AS records
"""
ADD_DUE = """
MERGE (d:Due {id: 1})
SET d.texts = coalesce(d.texts, 0) + $texts, d.records = coalesce(d.records, 0) + $records
"""
PUT_BLANKS = "UNWIND range(1, $count) AS n CREATE (b:Blank) SET b = $blank"
REWRITE_BLANKS = "MATCH (b:Blank) WITH b LIMIT $count SET b += $blank"
LOG_SETTINGS = """
SHOW SETTINGS YIELD name, value WHERE name IN [
  'db.tx_log.rotation.retention_policy', 'db.tx_log.rotation.size', 'db.checkpoint.interval.time'
] RETURN name, value
"""

# Whether anything can be written: made and rolled back.

PROBE = "CREATE (:Erasures)"

# Checking.

ALL_USERS = """
MATCH (u:User) WHERE u.overlay_id IS NOT NULL
RETURN u.id AS user, u.revision AS revision ORDER BY user
"""
OVERLAYS_PAGE = """
MATCH (u:User) USING INDEX u:User(owner) WHERE u.owner > $behind AND u.overlay_id IS NOT NULL
RETURN u.owner AS owner, u.id AS user, u.overlay_id AS overlay_id, u.revision AS revision
ORDER BY u.owner LIMIT $count
"""
COUNTS = """
MATCH (g:Graph {id: 1})
RETURN coalesce(g.concepts, 0) AS concepts, coalesce(g.edges, 0) AS triples,
       COUNT { MATCH (u:User) WHERE u.overlay_id IS NOT NULL } AS users,
       COUNT { MATCH (:Edit) } AS edits
"""

# Loading the base. Each batch moves its lane's `position` in its own transaction, so that a load
# goes on where it was stopped. Lanes load at the same time and never touch one concept at a time:
# server.stores.neo4j.base has their rounds.

GET_GRAPH = "MATCH (g:Graph {id: 1}) RETURN g {.*} AS graph"
GET_LANES = """
MATCH (l:Lane)
RETURN l.number AS number, l.generation AS generation, l.stage AS stage, l.position AS position,
       l.put AS put
ORDER BY number
"""
BEGIN_LOADING = """
MATCH (g:Graph {id: 1})
SET g.state = 'loading', g.loading = $fingerprint, g.stage = 'clear',
    g.generation = coalesce(g.generation, 0) + 1, g.fresh = NOT EXISTS { MATCH (:Concept) },
    g.fingerprint = '', g.concepts = 0, g.edges = 0
REMOVE g.source, g.declared, g.relations
WITH g
CALL (g) { MATCH (l:Lane) DELETE l }
CALL (g) {
  UNWIND range(0, $lanes - 1) AS number
  CREATE (:Lane {number: number, generation: g.generation, stage: 'clear', position: 0, put: 0})
}
RETURN g.generation AS generation, g.fresh AS fresh
"""
LOCK_LOADING = """
MATCH (g:Graph {id: 1}) SET g.locked = true
WITH g RETURN g.generation AS generation, g.stage AS stage
"""
MOVE_LOADING = """
MATCH (g:Graph {id: 1}) SET g.stage = $stage REMOVE g.locked
WITH g MATCH (l:Lane) SET l.stage = $stage, l.position = 0
"""
LOCK_LANE = """
MATCH (l:Lane {number: $lane}) SET l.locked = true
WITH l RETURN l.generation AS generation, l.stage AS stage, l.position AS position
"""
MOVE_LANE = """
MATCH (l:Lane {number: $lane}) SET l.position = $position, l.put = l.put + $count REMOVE l.locked
"""
CLEAR_EDGES = (
    f"MATCH (:Concept)-[r:{_BASE}]->() WITH r LIMIT $count DELETE r RETURN count(*) AS cleared"
)
# Rows are lists: they are smaller on the wire than maps, and faster to write and read. Edges find
# their ends by the nodes' ids, which hold while a base is loaded. One statement makes edges of all
# types, because planning and warming up a new statement costs more than many batches.
PUT_CONCEPTS = """
UNWIND $rows AS row
MERGE (c:Concept {uri: row[1]})
SET c.text = row[2], c.language = row[3], c.retrievable = row[4], c.generation = $generation
RETURN collect(id(c)) AS ids
"""
CREATE_CONCEPTS = """
UNWIND $rows AS row
CREATE (c:Concept {
  uri: row[1], text: row[2], language: row[3], retrievable: row[4], generation: $generation
})
RETURN collect(id(c)) AS ids
"""
"""For a load that found no concepts: no batch is put twice, so nothing needs to be looked for."""
IDS_OF_CONCEPTS = """
UNWIND $rows AS row
MATCH (c:Concept {uri: row[1]})
RETURN collect(id(c)) AS ids
"""
PUT_EDGES = """
UNWIND $rows AS row
MATCH (s) WHERE id(s) = row[0]
MATCH (o) WHERE id(o) = row[1]
CREATE (s)-[:$($types[row[2]]) {
  rank: row[3], weight: row[4], dataset: $sources[row[5]][0], license: $sources[row[5]][1],
  merged: row[6], back_rank: row[7], surface_text: row[8], relation: row[9]
}]->(o)
RETURN count(*) AS made
"""
"""`types` are from BASE_TYPES. What is past a row's end is null."""
REHOME_OVERLAYS = tuple(
    f"""
MATCH (c:Concept) WHERE c.generation < $generation
MATCH (c)-[m:{name}]-()
WITH DISTINCT m LIMIT $count
WITH m, startNode(m) AS s, endNode(m) AS o, properties(m) AS mark
CALL (s, mark) {{
  WITH s, mark WHERE s.generation < $generation
  MERGE (p:PersonalConcept {{key: mark.head}})
  ON CREATE SET p.owner = mark.owner, p.user = mark.user, p.uri = s.uri, p.text = mark.subject_text
}}
CALL (o, mark) {{
  WITH o, mark WHERE o.generation < $generation
  MERGE (p:PersonalConcept {{key: mark.tail}})
  ON CREATE SET p.owner = mark.owner, p.user = mark.user, p.uri = o.uri, p.text = mark.object_text
}}
OPTIONAL MATCH (sp:PersonalConcept {{key: mark.head}})
OPTIONAL MATCH (op:PersonalConcept {{key: mark.tail}})
WITH m, mark, CASE WHEN s.generation < $generation THEN sp ELSE s END AS s2,
     CASE WHEN o.generation < $generation THEN op ELSE o END AS o2
DELETE m
CREATE (s2)-[n:{name}]->(o2) SET n = mark
RETURN count(*) AS moved
"""
    for name in (ADDED, DELETED)
)
"""Overlay edges at concepts that the new base lacks get their users' own concepts as ends."""
CLEAR_CONCEPTS = """
MATCH (c:Concept) WHERE c.generation < $generation
WITH c LIMIT $count DELETE c RETURN count(*) AS cleared
"""
END_LOADING = """
MATCH (g:Graph {id: 1})
SET g.state = 'ready', g.fingerprint = $fingerprint, g.concepts = $concepts, g.edges = $edges,
    g.relations = $relations, g.source = $source, g.declared = $declared
REMOVE g.loading, g.stage, g.fresh, g.position, g.locked
WITH g MATCH (l:Lane) DELETE l
"""

# What the base is, for people and for `kgload verify`. Neo4j keeps all these counts ready, except
# those of CUSTOM edges by relation.

BASE_CONCEPTS = "MATCH (c:Concept) RETURN count(c) AS concepts"
EDGES_BY_TYPE = "\nUNION ALL ".join(
    f"MATCH ()-[r:`{name}`]->() RETURN '{name}' AS relation, count(r) AS edges"
    for name in BASE_TYPES
    if name != CUSTOM
)
EDGES_BY_CUSTOM_RELATION = (
    "MATCH ()-[r:CUSTOM]->() RETURN r.relation AS relation, count(*) AS edges"
)
WHOLE_EDGES = f"""
UNWIND range(0, size($rows) - 1) AS at
WITH at, $rows[at] AS row
MATCH (h:Concept {{uri: row[0]}})
MATCH (t:Concept {{uri: row[2]}})
MATCH (h)-[r:{_BASE}]->(t)
WHERE CASE type(r) WHEN 'CUSTOM' THEN r.relation ELSE type(r) END = row[1]
RETURN at, r.weight AS weight, r.dataset AS dataset, r.license AS license,
       r.surface_text AS surface_text, r.merged AS merged
"""
BUSIEST = """
MATCH (c:Concept)
WITH c, COUNT { (c)-->() } + COUNT { (c)<--() } AS degree ORDER BY degree DESC LIMIT $count
RETURN c.uri AS uri, degree
"""
"""The concepts with the most edges of all kinds, users' edges too.

No other concept has more edges of the base than the least of these has in all."""
BASE_DEGREES = f"""
UNWIND $uris AS uri
MATCH (c:Concept {{uri: uri}})
RETURN c.uri AS uri, c.text AS text,
       COUNT {{ (c)-[:{_BASE}]->() }} + COUNT {{ (c)<-[:{_BASE}]-() }} AS edges
"""

# From version 1 to 2 (server.stores.neo4j.upgrade): one user's transaction at a time, as long as
# version 1's indexes are there.

USERS_BEFORE = "MATCH (u:User) WHERE u.owner IS NULL RETURN u.id AS user ORDER BY user LIMIT $count"
LOCK_USER_BEFORE = (
    "MATCH (u:User {id: $user}) WHERE u.owner IS NULL SET u.locked = true RETURN u.id AS user"
)
MARKS_BEFORE = """
MATCH ()-[m:ADDED]->() WHERE m.user = $user AND m.subject IS NOT NULL
RETURN type(m) AS type, properties(m) AS mark
UNION ALL
MATCH ()-[m:DELETED]->() WHERE m.user = $user AND m.subject IS NOT NULL
RETURN type(m) AS type, properties(m) AS mark
"""
EDITS_BEFORE = """
MATCH (e:Edit) WHERE e.user = $user AND e.revision >= 0
RETURN e.revision AS revision, e.id AS id, e.body AS body, e.request_id AS request_id,
       e.reverts AS reverts
ORDER BY revision
"""
FORGET_MARKS_BEFORE = (
    "MATCH ()-[m:ADDED]->() WHERE m.user = $user AND m.subject IS NOT NULL DELETE m",
    "MATCH ()-[m:DELETED]->() WHERE m.user = $user AND m.subject IS NOT NULL DELETE m",
    "MATCH (p:PersonalConcept) WHERE p.user = $user AND p.uri IS NOT NULL DELETE p",
)
UPGRADE_USER = f"""
WITH $upgraded AS p
MATCH (u:User {{id: p.user}}) SET u.owner = p.owner REMOVE u.locked
WITH p, u
CALL (p) {{
  UNWIND p.edits AS edit
  MATCH (e:Edit {{user: p.user, revision: edit.revision}}) SET e += edit
}}
{_PUT_ENDS}{_create(ADDED, "added")}{_create(DELETED, "deleted")}RETURN u.owner AS owner
"""
SET_VERSION = "MATCH (g:Graph {id: 1}) SET g.schema_version = $version"
