// KGT: conflicts: one user added what another removed
MATCH (s)-[a:ADDED]->(o)<-[d:DELETED]-(s)
WHERE a.relation = d.relation AND a.user <> d.user
RETURN s, a, d, o, a.user AS added_by, d.user AS removed_by
LIMIT 200
