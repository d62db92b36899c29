// KGT: one user's view around a concept ($user, $concept)
CALL () {
  MATCH p = (:Concept {uri: $concept})-[r:!ADDED&!DELETED]->()
  WITH p, r ORDER BY r.weight DESC LIMIT 40
  RETURN p
  UNION ALL
  MATCH p = ()-[:ADDED {user: $user, subject: $concept}]->() RETURN p
  UNION ALL
  MATCH p = ()-[:DELETED {user: $user, subject: $concept}]->() RETURN p
}
RETURN p
