// KGT: what users removed from the base: who disagrees, and with what
MATCH p = (:Concept)-[m:DELETED]->(:Concept)
RETURN p, m.user AS user, m.subject_text + ' ' + m.relation + ' ' + m.object_text AS triple
ORDER BY triple, user LIMIT 200
