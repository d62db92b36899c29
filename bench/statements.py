"""The statements of bench.store that are not the stores' own."""

from __future__ import annotations

FOREIGN = """
MATCH (hub:Concept {uri: 'hub'})
UNWIND range($start, $start + $count - 1) AS n
MATCH (leaf:Concept {uri: 'leaf ' + toString(n % $leaves)})
CREATE (hub)-[:ADDED {
  owner: 'other ' + toString(n), head: 'hub of ' + toString(n), tail: leaf.uri + toString(n),
  triple: 'triple ' + toString(n), age: '1', user: 'other ' + toString(n),
  subject: 'hub', relation: 'HasA', object: leaf.uri,
  subject_text: 'hub', object_text: leaf.uri, revision: 1, position: 0
}]->(leaf)
"""
FOREIGN_SQL = """
INSERT INTO overlay (
  user, head, relation, tail, head_text, tail_text, origin, stamp_revision, stamp_position
)
VALUES (?, 'hub', 'HasA', ?, 'hub', ?, 'added', 1, 0)
"""
PLAIN_WRITE = """
UNWIND $rows AS row
MATCH (s:Concept {uri: row.subject})
MATCH (o:Concept {uri: row.object})
CREATE (s)-[m:ADDED]->(o) SET m = row
"""
FORGET_MARKS = "MATCH ()-[m:ADDED|DELETED]->() WITH m LIMIT $count DELETE m RETURN count(*) AS gone"
FORGET_NODES = """
MATCH (n:User|Edit|PersonalConcept|Response|ErasedRequest|Erasures)
WITH n LIMIT $count DETACH DELETE n RETURN count(*) AS gone
"""
