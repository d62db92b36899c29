"""Every DuckDB statement of the staging, named, in the order in which they run.

`why` says what became of a line: kept, or why not. Of a line that is not kept nothing but its
relation goes on.
"""

from __future__ import annotations

KEPT, EXTERNAL, LANGUAGE, RELATION, WEIGHT, MALFORMED = range(6)
LEFT_OUT = {
    EXTERNAL: "ExternalURL",
    LANGUAGE: "--language",
    RELATION: "--relations",
    WEIGHT: "--min-weight",
}

# A dump has no quoting: a tab always divides. A sixth column catches lines that are too wide,
# padding with NULL those that are too narrow. "\x01" stands for no field, so that an empty one
# stays empty.
_DUMP = """read_csv({file}, delim = '\t', quote = '', escape = '', header = false, auto_detect = false,
  columns = {{'assertion': 'VARCHAR', 'r': 'VARCHAR', 'h': 'VARCHAR', 't': 'VARCHAR', 'm': 'VARCHAR', 'more': 'VARCHAR'}},
  strict_mode = false, null_padding = true, nullstr = '\x01', store_rejects = true, compression = '{compression}',
  max_line_size = 16777216)"""

_PARTED = (
    """(SELECT *, string_split(h, '/') AS h_parts, string_split(t, '/') AS t_parts FROM """
    + _DUMP
    + ")"
)
"""Split once: a split_part for each use was half of the time that reading took."""
TEXT = "{0}_parts[4]"
SENSED_TEXT = """{0}_parts[4] || CASE WHEN coalesce({0}_parts[5], '') = '' THEN ''
  ELSE ' (' || array_to_string({0}_parts[5:], ' ') || ')' END"""
"""The text of a concept whose senses are kept apart: "dog (n wn animal)"."""

_LINK = "r = '/r/ExternalURL'"
_NO_TAIL = "NOT starts_with(t, '/c/') OR len(t_parts) < 4 OR t_parts[3] = '' OR t_parts[4] = ''"
WITHOUT_LINKS = {
    "left_out": _LINK,
    "no_tail": _NO_TAIL,
    "tail": "replace({0}, '_', ' ')",
    "tail_language": "t_parts[3]",
}
WITH_LINKS = {
    "left_out": "false",
    "no_tail": f"CASE WHEN {_LINK} THEN NOT regexp_matches(t, '^https?://') ELSE {_NO_TAIL} END",
    "tail": f"CASE WHEN {_LINK} THEN replace(array_to_string(t_parts, '/'), '_', '%5F') ELSE replace({{0}}, '_', ' ') END",
    "tail_language": f"CASE WHEN {_LINK} THEN NULL ELSE t_parts[3] END",
}
"""What becomes of edges to an address elsewhere, which has no language (kgload.lines.link_text)."""

NO_SURFACE = "NULL::VARCHAR"
SURFACE = "nullif(trim(regexp_replace(details[4] ->> '$', '[\\x00-\\x20]+', ' ', 'g')), '')"
SURFACE_PATH = ", '$.surfaceText'"
"""What a line says in words, on one line."""

READ_CONCEPTNET = (
    """
COPY (
  WITH shaped AS (
    SELECT r, h_parts, t_parts, m, CASE
      WHEN more IS NOT NULL OR m IS NULL OR r IS NULL OR h IS NULL OR t IS NULL OR NOT starts_with(r, '/r/') OR strlen(r) < 4 THEN 5
      WHEN {left_out} THEN 1
      WHEN NOT starts_with(h, '/c/') OR len(h_parts) < 4 OR h_parts[3] = '' OR h_parts[4] = ''
        OR {no_tail}
        OR strlen(r) > 3 + {relation_bytes} THEN 5
      WHEN NOT $any_language
        AND NOT (list_contains($languages, h_parts[3]) AND list_contains($languages, coalesce({tail_language}, h_parts[3])))
        THEN 2
      WHEN NOT $any_relation AND NOT list_contains($relations, r[4:]) THEN 3
      ELSE 0 END AS why
    FROM """
    + _PARTED
    + """
  ), detailed AS (
    SELECT * EXCLUDE (m), CASE WHEN why = 0 AND starts_with(m, '{{')
      THEN try(json_extract(m, ['$.weight', '$.dataset', '$.license'{surface_path}])) END AS details
    FROM shaped
  ), weighed AS (
    SELECT * EXCLUDE (details), details[2]::VARCHAR AS dataset, details[3]::VARCHAR AS license,
      {surface} AS surface,
      CASE WHEN details IS NULL THEN NULL WHEN details[1] IS NULL THEN 1.0
        WHEN contains(details[1]::VARCHAR, '"') THEN NULL ELSE try_cast(details[1]::VARCHAR AS DOUBLE) END AS weight
    FROM detailed
  ), judged AS (
    SELECT * EXCLUDE (why), CASE
      WHEN why <> 0 THEN why
      WHEN weight IS NULL OR NOT isfinite(weight) OR abs(weight) > {max_weight} THEN 5
      WHEN weight < $min_weight THEN 4
      ELSE 0 END::UTINYINT AS why
    FROM weighed
  )
  SELECT why, CASE WHEN starts_with(r, '/r/') THEN r[4:] END AS relation,
    CASE WHEN why = 0 THEN replace({text}, '_', ' ') END AS head, CASE WHEN why = 0 THEN h_parts[3] END AS head_language,
    CASE WHEN why = 0 THEN {tail} END AS tail, CASE WHEN why = 0 THEN {tail_language} END AS tail_language,
    CASE WHEN why = 0 THEN weight END AS weight, CASE WHEN why = 0 THEN dataset END AS dataset,
    CASE WHEN why = 0 THEN license END AS license, CASE WHEN why = 0 THEN surface END AS surface
  FROM judged
) TO {target} (FORMAT parquet)
"""
)

READ_ROWS = """
COPY (
  SELECT 0::UTINYINT AS why, relation, head, NULL::VARCHAR AS head_language, tail, NULL::VARCHAR AS tail_language, weight,
    NULL::VARCHAR AS dataset, NULL::VARCHAR AS license, NULL::VARCHAR AS surface
  FROM read_csv({file}, delim = '\t', quote = '', escape = '', header = false, auto_detect = false, strict_mode = false,
    columns = {{'weight': 'DOUBLE', 'relation': 'VARCHAR', 'head': 'VARCHAR', 'tail': 'VARCHAR'}})
) TO {target} (FORMAT parquet)
"""
VIEW_RAW = "CREATE OR REPLACE VIEW raw AS SELECT *, file_row_number AS line FROM read_parquet({file}, file_row_number = true)"

COUNT_LINES = "SELECT count(*) FROM raw"
COUNT_MALFORMED = "SELECT count(*) FROM raw WHERE why = 5"
COUNT_UNREADABLE = """
SELECT CASE WHEN (SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors') = 0 THEN 0
  ELSE (SELECT count(DISTINCT line) FROM reject_errors) END
"""
MALFORMED_LINES = "SELECT line FROM raw WHERE why = 5 ORDER BY line LIMIT ?"
MALFORMED_OR_UNUSABLE_LINES = """
SELECT line FROM raw WHERE why = 5 OR (why = 0 AND (head IN (SELECT t FROM unusable) OR tail IN (SELECT t FROM unusable)
  OR relation NOT IN (SELECT name FROM relations))) ORDER BY line LIMIT ?
"""

DISTINCT_RELATIONS = "SELECT DISTINCT relation FROM raw WHERE why = 0 AND relation IS NOT NULL"
RELATIONS = (
    "CREATE TABLE relations (name VARCHAR, graph_name VARCHAR, id INTEGER, retrievable BOOLEAN)"
)
ADD_RELATION = "INSERT INTO relations VALUES (?, ?, ?, ?)"

# Concepts. A tidy text is its own text and, in lower case, its key; any other goes through Python,
# each once. So no rule of server.graph.concept is written here a second time: a character that it
# changes otherwise is not among the tidy ones.

TIDY = (
    "!-^`-~"  # and letters that casefolding and NFKC change as lower() does: Latin, Cyrillic, kana, Han and Hangul
    r"\x{C0}-\x{D6}\x{D8}-\x{DE}\x{E0}-\x{F6}\x{F8}-\x{12F}\x{134}-\x{13E}\x{141}-\x{148}\x{14A}-\x{17E}"
    r"\x{400}-\x{45F}\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}"
)
NAMING = r"[^ !-/:-@\[-`{-~]"
"""What is more than ASCII punctuation, and of tidy texts therefore a letter or a digit: without one
Python decides."""
TEXTS = f"""
CREATE TABLE texts AS
SELECT t, line, language, CASE WHEN tidy THEN lower(t) ELSE key_in_python(t) END AS key,
  CASE WHEN tidy THEN t ELSE text_in_python(t) END AS text
FROM (
  SELECT t, min(line) AS line, arg_min(language, line) AS language,
    regexp_full_match(t, '[{TIDY}]+( [{TIDY}]+)*') AND regexp_matches(t, '{NAMING}') AND strlen(t) <= 512 AS tidy
  FROM (
    SELECT head AS t, 2 * line AS line, head_language AS language FROM raw WHERE why = 0
    UNION ALL SELECT tail, 2 * line + 1, tail_language FROM raw WHERE why = 0
  ) GROUP BY t
)
"""
UNUSABLE = "CREATE TABLE unusable AS SELECT t FROM texts WHERE key = ''"
COUNT_BAD = """
SELECT (SELECT count(*) FROM unusable)
  + (SELECT count(*) FROM (SELECT DISTINCT relation FROM raw WHERE why = 0) WHERE relation NOT IN (SELECT name FROM relations))
"""
COUNT_UNUSABLE = """
SELECT count(*) FROM raw WHERE why = 0 AND (head IN (SELECT t FROM unusable) OR tail IN (SELECT t FROM unusable)
  OR relation NOT IN (SELECT name FROM relations))
"""
CONCEPTS = """
CREATE TABLE concepts AS
SELECT row_number() OVER () AS id, key, text, language FROM (
  SELECT key, arg_min(text, line) AS text, arg_min(language, line) AS language FROM texts WHERE key <> '' GROUP BY key ORDER BY key
)
"""
IDS = "CREATE TABLE ids AS SELECT t, id FROM texts JOIN concepts USING (key)"
DROP_TEXTS = "DROP TABLE texts"
COUNT_CONCEPTS = "SELECT count(*) FROM concepts"

# Edges. Of edges that are one in the graph the heaviest gives weight, source and surface text, the
# first of equals; symmetric ones are stored once, the concept with the smaller key as head. A
# surface text is found by its line when all is merged: no aggregate holds texts, which it could not
# spill.

DISTINCT_SOURCES = "SELECT DISTINCT dataset, license FROM raw WHERE why = 0"
SOURCES = "CREATE TABLE sources (dataset VARCHAR, license VARCHAR, id INTEGER)"
ADD_SOURCE = "INSERT INTO sources VALUES (?, ?, ?)"
FOREMOST = "floor(weight * 1e6 + 0.5)::HUGEINT * 1099511627776 - line"
"""The order of lines that are one edge: by weight in millionths, then the earliest (2 ** 40 is more
than there are lines)."""
MERGED = (
    """
CREATE TABLE merged AS
SELECT head, relation, tail, max(weight) AS weight, min(line) AS line, count(*) AS merged,
  arg_max(source, """
    + FOREMOST
    + """) AS source{heaviest}
FROM (
  SELECT CASE WHEN r.id < 0 THEN least(h.id, t.id) ELSE h.id END AS head, r.id AS relation,
    CASE WHEN r.id < 0 THEN greatest(h.id, t.id) ELSE t.id END AS tail, weight, s.id AS source, line
  FROM raw JOIN ids h ON h.t = raw.head JOIN ids t ON t.t = raw.tail JOIN relations r ON r.name = raw.relation
  JOIN sources s ON s.dataset IS NOT DISTINCT FROM raw.dataset AND s.license IS NOT DISTINCT FROM raw.license
  WHERE why = 0
) GROUP BY head, relation, tail
"""
)
HEAVIEST = f", arg_max(line, {FOREMOST}) AS heaviest"
COUNT_MERGED = "SELECT count(*) FROM merged"
RANKED = """
COPY (
  SELECT head, relation, row_number() OVER (PARTITION BY head, relation ORDER BY weight DESC, line) - 1 AS rank,
    tail, weight, source, merged
  FROM merged ORDER BY head, relation, rank
) TO {file} (FORMAT parquet)
"""
RANKED_WITH_SURFACES = """
COPY (
  SELECT head, relation, row_number() OVER (PARTITION BY head, relation ORDER BY weight DESC, merged.line) - 1 AS rank,
    tail, weight, source, merged, surface
  FROM merged LEFT JOIN (SELECT line, surface FROM raw WHERE surface IS NOT NULL) s ON s.line = merged.heaviest
  ORDER BY head, relation, rank
) TO {file} (FORMAT parquet)
"""
RETRIEVABLE = """
CREATE TABLE retrievable AS
SELECT concept, count(*) AS edges FROM (
  SELECT head AS concept FROM merged WHERE relation IN (SELECT id FROM relations WHERE retrievable)
  UNION ALL SELECT tail FROM merged
    WHERE relation < 0 AND head <> tail AND relation IN (SELECT id FROM relations WHERE retrievable)
) GROUP BY concept
"""
SORTED_CONCEPTS = """
COPY (
  SELECT id, key, text, coalesce(language, '') AS language, coalesce(r.edges, 0) AS retrievable
  FROM concepts LEFT JOIN retrievable r ON r.concept = concepts.id ORDER BY id
) TO {file} (FORMAT parquet)
"""

COUNTS = """
SELECT relation, why, count(*) AS lines,
  count(*) FILTER (why = 0 AND head NOT IN (SELECT t FROM unusable) AND tail NOT IN (SELECT t FROM unusable)
    AND relation IN (SELECT name FROM relations)) AS usable
FROM raw GROUP BY relation, why ORDER BY relation, why
"""
COUNTS_ALL_USABLE = "SELECT relation, why, count(*) AS lines, count(*) AS usable FROM raw GROUP BY relation, why ORDER BY relation, why"
EDGES_BY_RELATION = """
SELECT n.graph_name, count(*) FROM merged JOIN (SELECT DISTINCT id, graph_name FROM relations) n ON n.id = merged.relation
GROUP BY n.graph_name
"""
RELATIONS_OUT = """
SELECT n.id, n.graph_name, count(*) FROM merged JOIN (SELECT DISTINCT id, graph_name FROM relations) n ON n.id = merged.relation
GROUP BY n.id, n.graph_name ORDER BY n.graph_name
"""

# As server.stores.rules.base_graph defines the fingerprint.

CONCEPTS_DIGEST = "SELECT bit_xor(md5_number(concat(id, ',', key))) FROM read_parquet({file})"
EDGES_DIGEST = """
SELECT bit_xor(md5_number(concat_ws(',', head, name, rank, tail, floor(weight * 1e6 + 0.5)::BIGINT)))
FROM read_parquet({file}) e JOIN (SELECT DISTINCT id, graph_name AS name FROM relations) n ON n.id = e.relation
"""

# What the routes read

EDGES_FROM = """
SELECT head, relation, rank, tail, weight, source, merged FROM read_parquet({file}) OFFSET ?
"""
CONCEPTS_FROM = "SELECT id, key, text, retrievable FROM read_parquet({file}) OFFSET ?"

SAMPLE = """
SELECT h.key, r.name, t.key, e.weight, s.dataset, s.license, e.merged, {surface}
FROM (SELECT * FROM read_parquet({edges}) USING SAMPLE reservoir({count} ROWS) REPEATABLE (7)) e
JOIN read_parquet({concepts}) h ON h.id = e.head JOIN read_parquet({concepts}) t ON t.id = e.tail
JOIN (SELECT unnest($relations, recursive := true)) r(id, name) ON r.id = e.relation
JOIN (SELECT unnest($sources, recursive := true)) s(id, dataset, license) ON s.id = e.source
"""

# For Neo4j. `back_rank` is the place at the tail, of what is read from both ends
# (server.stores.neo4j.base.RankedEdge). A key that no index would take goes through Python.

_URI = "CASE WHEN strlen({0}key) > {{longest}} THEN uri_in_python({0}key) ELSE {0}key END"
_GRAPH_EDGES = """
FROM (
  SELECT *, NULL::BIGINT AS back_rank FROM read_parquet({edges}) WHERE relation >= 0 OR head = tail
  UNION ALL
  SELECT *, row_number() OVER (PARTITION BY tail, relation ORDER BY weight DESC, head) - 1
  FROM read_parquet({edges}) WHERE relation < 0 AND head <> tail
) e
JOIN (SELECT unnest($relations, recursive := true)) r(id, name, kind) ON r.id = e.relation
JOIN (SELECT unnest($sources, recursive := true)) s(id, dataset, license) ON s.id = e.source
"""
ORDERED_EDGES = (
    """
COPY (
  SELECT m.round, m.lane, e.head, r.name AS relation, e.tail, e.rank, e.back_rank, e.weight, s.dataset, s.license, e.merged,
    {surface} AS surface
"""
    + _GRAPH_EDGES
    + """
  JOIN (SELECT unnest($meetings, recursive := true)) m(low, high, round, lane)
    ON m.low = least(e.head % {buckets}, e.tail % {buckets}) AND m.high = greatest(e.head % {buckets}, e.tail % {buckets})
  ORDER BY m.round, m.lane, e.head, r.name, e.rank
) TO {target} (FORMAT parquet)
"""
)
LIVE_EDGES = (
    "SELECT * EXCLUDE (round, lane) FROM read_parquet({file}) WHERE round = ? AND lane = ? OFFSET ?"
)
LIVE_CONCEPTS = f"""
SELECT id, {_URI.format("")} AS uri, text, language, retrievable FROM read_parquet({{file}}) WHERE id % ? = ? OFFSET ?
"""

OFFLINE_CONCEPTS = f"""
COPY (
  SELECT id, {_URI.format("")} AS uri, text, language, retrievable, 1 AS generation
  FROM read_parquet({{concepts}})
) TO {{target}} (FORMAT csv, HEADER false, FORCE_QUOTE (uri, text, language))
"""
# In the order of heads: neo4j-admin writes them as they come, and those of a concept are then read
# side by side.
OFFLINE_EDGES = (
    """
COPY (
  SELECT e.head, e.tail, r.kind, e.rank, e.back_rank, e.weight, s.dataset, s.license, {surface} AS surface, e.merged,
    CASE WHEN r.kind = r.name THEN NULL ELSE r.name END AS relation
"""
    + _GRAPH_EDGES
    + """
  ORDER BY e.head, e.relation, e.rank
) TO {target} (FORMAT csv, HEADER false, FORCE_QUOTE (dataset, license, surface))
"""
)
