// KGT: what a user's last edits changed ($user)
MATCH (e:Edit) WHERE e.user = $user AND e.revision > 0
WITH e ORDER BY e.revision DESC LIMIT 10
WITH collect(e.id) AS edits
MATCH p = ()-[m:ADDED|DELETED]->()
WHERE m.user = $user AND m.subject IS NOT NULL AND m.edit IN edits
RETURN p
ORDER BY m.revision DESC
