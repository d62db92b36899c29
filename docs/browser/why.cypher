// KGT: why an edit was made, with probabilities ($user, $revision)
MATCH (e:Edit {user: $user, revision: $revision})
UNWIND range(0, size(e.triples) - 1) AS at
RETURN e.query AS query, e.answer AS feedback, e.triples[at] AS triple,
       e.states_before[at] AS before, e.states_after[at] AS after,
       e.retrieval_before[at] AS retrieval_before, e.retrieval_after[at] AS retrieval_after,
       e.reasoning[at] AS reasoning, e.loss_before AS loss_before, e.loss_after AS loss_after,
       e.stop_reason AS stop_reason, datetime({epochMillis: e.time_ms}) AS time
