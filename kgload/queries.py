"""Every DuckDB statement of the loader, named, in the order in which they run.

`why` says what became of a line: kept, or why not. Of a line that is not kept, only the relation
goes on.
"""

from __future__ import annotations

KEPT, EXTERNAL, LANGUAGE, RELATION, WEIGHT, MALFORMED = range(6)
LEFT_OUT = {
    EXTERNAL: "ExternalURL",
    LANGUAGE: "--language",
    RELATION: "--relations",
    WEIGHT: "--min-weight",
}

# A dump has no quoting: every tab is a separator. Lines that are too wide fill a sixth column, and
# lines that are too narrow are padded with NULL. "\x01" stands for NULL, so that empty fields stay
# empty.
_DUMP = """read_csv({file}, delim = '\t', quote = '', escape = '', header = false,
  auto_detect = false, strict_mode = false, null_padding = true, nullstr = '\x01',
  columns = {{'assertion': 'VARCHAR', 'r': 'VARCHAR', 'h': 'VARCHAR', 't': 'VARCHAR',
    'm': 'VARCHAR', 'more': 'VARCHAR'}},
  store_rejects = true, compression = '{compression}', max_line_size = 16777216)"""

_PARTED = f"""(
      SELECT *, string_split(h, '/') AS h_parts, string_split(t, '/') AS t_parts FROM {_DUMP})"""
"""Split once: a split_part for each use took half of the time of reading."""
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
    "tail": f"CASE WHEN {_LINK} THEN replace(array_to_string(t_parts, '/'), '_', '%5F')"
    " ELSE replace({0}, '_', ' ') END",
    "tail_language": f"CASE WHEN {_LINK} THEN NULL ELSE t_parts[3] END",
}
"""What becomes of edges to an address elsewhere, which has no language (link_text of
kgload.formats.conceptnet_lines)."""

NO_SURFACE = "NULL::VARCHAR"
SURFACE = "nullif(trim(regexp_replace(details[4] ->> '$', '[\\x00-\\x20]+', ' ', 'g')), '')"
SURFACE_PATH = ", '$.surfaceText'"
"""The sentence of a line, on one line."""

READ_CONCEPTNET = (
    """
COPY (
  WITH shaped AS (
    SELECT r, h_parts, t_parts, m, CASE
      WHEN more IS NOT NULL OR m IS NULL OR r IS NULL OR h IS NULL OR t IS NULL
        OR NOT starts_with(r, '/r/') OR strlen(r) < 4 THEN 5
      WHEN {left_out} THEN 1
      WHEN NOT starts_with(h, '/c/') OR len(h_parts) < 4 OR h_parts[3] = '' OR h_parts[4] = ''
        OR {no_tail}
        OR strlen(r) > 3 + {relation_bytes} THEN 5
      WHEN NOT $any_language
        AND NOT (list_contains($languages, h_parts[3])
          AND list_contains($languages, coalesce({tail_language}, h_parts[3])))
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
        WHEN contains(details[1]::VARCHAR, '"') THEN NULL
        ELSE try_cast(details[1]::VARCHAR AS DOUBLE) END AS weight
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
    CASE WHEN why = 0 THEN replace({text}, '_', ' ') END AS head,
    CASE WHEN why = 0 THEN h_parts[3] END AS head_language,
    CASE WHEN why = 0 THEN {tail} END AS tail,
    CASE WHEN why = 0 THEN {tail_language} END AS tail_language,
    CASE WHEN why = 0 THEN weight END AS weight, CASE WHEN why = 0 THEN dataset END AS dataset,
    CASE WHEN why = 0 THEN license END AS license, CASE WHEN why = 0 THEN surface END AS surface
  FROM judged
) TO {target} (FORMAT parquet)
"""
)

READ_ROWS = """
COPY (
  SELECT 0::UTINYINT AS why, relation, head, NULL::VARCHAR AS head_language, tail,
    NULL::VARCHAR AS tail_language, weight, NULL::VARCHAR AS dataset, NULL::VARCHAR AS license,
    NULL::VARCHAR AS surface
  FROM read_csv({file}, delim = '\t', quote = '', escape = '', header = false,
    auto_detect = false, strict_mode = false,
    columns = {{'weight': 'DOUBLE', 'relation': 'VARCHAR', 'head': 'VARCHAR', 'tail': 'VARCHAR'}})
) TO {target} (FORMAT parquet)
"""
READ_TRIPLES = """
CREATE TABLE triples AS SELECT * FROM read_csv({file}, delim = ',', quote = '"', escape = '"',
  new_line = '\\n', header = false, auto_detect = false, nullstr = '\x01',
  columns = {{'line': 'BIGINT', 'relation': 'VARCHAR', 'head': 'VARCHAR', 'head_text': 'VARCHAR',
    'tail': 'VARCHAR', 'tail_text': 'VARCHAR', 'weight': 'DOUBLE', 'dataset': 'VARCHAR',
    'license': 'VARCHAR'}})
"""
VIEW_TRIPLES = """
CREATE VIEW raw AS SELECT 0::UTINYINT AS why, relation, head, NULL::VARCHAR AS head_language, tail,
  NULL::VARCHAR AS tail_language, weight, to_json(dataset)::VARCHAR AS dataset,
  to_json(license)::VARCHAR AS license, NULL::VARCHAR AS surface, line
FROM triples
"""
VIEW_RAW = """
CREATE OR REPLACE VIEW raw AS
SELECT *, file_row_number AS line FROM read_parquet({file}, file_row_number = true)
"""

COUNT_LINES = "SELECT count(*) FROM raw"
COUNT_MALFORMED = "SELECT count(*) FROM raw WHERE why = 5"
COUNT_UNREADABLE = """
SELECT CASE
  WHEN (SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors') = 0 THEN 0
  ELSE (SELECT count(DISTINCT line) FROM reject_errors) END
"""
MALFORMED_LINES = "SELECT line FROM raw WHERE why = 5 ORDER BY line LIMIT ?"
_UNUSABLE_LINE = """head IN (SELECT t FROM unusable) OR tail IN (SELECT t FROM unusable)
  OR relation NOT IN (SELECT name FROM relations)"""
MALFORMED_OR_UNUSABLE_LINES = f"""
SELECT line FROM raw WHERE why = 5 OR (why = 0 AND ({_UNUSABLE_LINE})) ORDER BY line LIMIT ?
"""

DISTINCT_RELATIONS = "SELECT DISTINCT relation FROM raw WHERE why = 0 AND relation IS NOT NULL"
RELATIONS = (
    "CREATE TABLE relations (name VARCHAR, graph_name VARCHAR, id INTEGER, retrievable BOOLEAN)"
)
ADD_RELATION = "INSERT INTO relations VALUES (?, ?, ?, ?)"

# Concepts. A tidy text is kept as it is, and its key is the text in lower case. Any other text goes
# through Python, once. So no rule of server.graph.concept is repeated here: a character that it
# changes in another way is not a tidy one.

TIDY = (
    # ASCII, and letters that lower() changes just as casefolding and NFKC do: Latin, Cyrillic,
    # kana, Han and Hangul
    "!-^`-~"
    r"\x{C0}-\x{D6}\x{D8}-\x{DE}\x{E0}-\x{F6}\x{F8}-\x{12F}\x{134}-\x{13E}\x{141}-\x{148}"
    r"\x{14A}-\x{17E}"
    r"\x{400}-\x{45F}\x{3041}-\x{3096}\x{30A1}-\x{30FA}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7A3}"
)
NAMING = r"[^ !-/:-@\[-`{-~]"
"""Not ASCII punctuation: in a tidy text, a letter or a digit. Python decides on a text without one.
"""


def _texts(language: str) -> str:
    """The statement that makes the table of texts; `language` is the aggregate for a text's."""
    return f"""
CREATE TABLE texts AS
SELECT t, line, language, CASE WHEN tidy THEN lower(t) ELSE key_in_python(t) END AS key,
  CASE WHEN tidy THEN t ELSE text_in_python(t) END AS text
FROM (
  SELECT t, min(line) AS line, {language} AS language,
    regexp_full_match(t, '[{TIDY}]+( [{TIDY}]+)*') AND regexp_matches(t, '{NAMING}')
      AND strlen(t) <= 512 AS tidy
  FROM (
    SELECT head AS t, 2 * line AS line, head_language AS language FROM raw WHERE why = 0
    UNION ALL SELECT tail, 2 * line + 1, tail_language FROM raw WHERE why = 0
  ) GROUP BY t
)
"""


TEXTS = _texts("arg_min(language, line)")
TEXTS_IN_ONE_LANGUAGE = _texts("any_value(language)")
"""Where no two concepts differ in their language. Takes four fifths of the time."""
TEXTS_OF_TRIPLES = """
CREATE TABLE texts AS
SELECT t, min(line) AS line, NULL::VARCHAR AS language, t AS key, arg_min(text, line) AS text FROM (
  SELECT head AS t, head_text AS text, 2 * line AS line FROM triples
  UNION ALL SELECT tail, tail_text, 2 * line + 1 FROM triples
) GROUP BY t
"""
UNUSABLE = "CREATE TABLE unusable AS SELECT t FROM texts WHERE key = ''"
COUNT_BAD = """
SELECT (SELECT count(*) FROM unusable) + (
  SELECT count(*) FROM (SELECT DISTINCT relation FROM raw WHERE why = 0)
  WHERE relation NOT IN (SELECT name FROM relations))
"""
COUNT_UNUSABLE = f"SELECT count(*) FROM raw WHERE why = 0 AND ({_UNUSABLE_LINE})"
CONCEPTS = """
CREATE TABLE concepts AS
SELECT row_number() OVER () AS id, key, text, language FROM (
  SELECT key, arg_min(text, line) AS text, arg_min(language, line) AS language
  FROM texts WHERE key <> '' GROUP BY key ORDER BY key
)
"""
IDS = "CREATE TABLE ids AS SELECT t, id FROM texts JOIN concepts USING (key)"
DROP_TEXTS = "DROP TABLE texts"
COUNT_CONCEPTS = "SELECT count(*) FROM concepts"

# Edges. Of the lines that are one edge, the heaviest gives weight, source and surface text; ties go
# to the first. A symmetric edge is stored once, with the smaller key as its head. The surface text
# is joined by its line after merging, because DuckDB cannot spill an aggregate of texts.

DISTINCT_SOURCES = "SELECT DISTINCT dataset, license FROM raw WHERE why = 0"
SOURCES = "CREATE TABLE sources (dataset VARCHAR, license VARCHAR, id INTEGER)"
ADD_SOURCE = "INSERT INTO sources VALUES (?, ?, ?)"
FOREMOST = "floor(weight * 1e6 + 0.5)::HUGEINT * 1099511627776 - line"
"""Orders the lines of one edge: by weight in millionths, then the earliest first. 2 ** 40 is more
than there are lines."""
MERGED = f"""
CREATE TABLE merged AS
SELECT head, relation, tail, max(weight) AS weight, min(line) AS line, count(*) AS merged,
  arg_max(source, {FOREMOST}) AS source{{heaviest}}
FROM (
  SELECT CASE WHEN r.id < 0 THEN least(h.id, t.id) ELSE h.id END AS head, r.id AS relation,
    CASE WHEN r.id < 0 THEN greatest(h.id, t.id) ELSE t.id END AS tail,
    weight, s.id AS source, line
  FROM raw
  JOIN ids h ON h.t = raw.head JOIN ids t ON t.t = raw.tail
  JOIN relations r ON r.name = raw.relation
  JOIN sources s ON s.dataset IS NOT DISTINCT FROM raw.dataset
    AND s.license IS NOT DISTINCT FROM raw.license
  WHERE why = 0
) GROUP BY head, relation, tail
"""
HEAVIEST = f", arg_max(line, {FOREMOST}) AS heaviest"
COUNT_MERGED = "SELECT count(*) FROM merged"
_RANK = "row_number() OVER (PARTITION BY head, relation ORDER BY weight DESC, merged.line) - 1"
RANKED = f"""
COPY (
  SELECT head, relation, {_RANK} AS rank, tail, weight, source, merged
  FROM merged ORDER BY head, relation, rank
) TO {{file}} (FORMAT parquet)
"""
RANKED_WITH_SURFACES = f"""
COPY (
  SELECT head, relation, {_RANK} AS rank, tail, weight, source, merged, surface
  FROM merged
  LEFT JOIN (SELECT line, surface FROM raw WHERE surface IS NOT NULL) s ON s.line = merged.heaviest
  ORDER BY head, relation, rank
) TO {{file}} (FORMAT parquet)
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

COUNTS = f"""
SELECT relation, why, count(*) AS lines,
  count(*) FILTER (why = 0 AND NOT ({_UNUSABLE_LINE})) AS usable
FROM raw GROUP BY relation, why ORDER BY relation, why
"""
COUNTS_ALL_USABLE = """
SELECT relation, why, count(*) AS lines, count(*) AS usable
FROM raw GROUP BY relation, why ORDER BY relation, why
"""
_NAMES = "(SELECT DISTINCT id, graph_name FROM relations)"
EDGES_BY_RELATION = f"""
SELECT n.graph_name, count(*) FROM merged JOIN {_NAMES} n ON n.id = merged.relation
GROUP BY n.graph_name
"""
RELATIONS_OUT = f"""
SELECT n.id, n.graph_name, count(*) FROM merged JOIN {_NAMES} n ON n.id = merged.relation
GROUP BY n.id, n.graph_name ORDER BY n.graph_name
"""

# As server.stores.rules.base_graph defines the fingerprint.

CONCEPTS_DIGEST = "SELECT bit_xor(md5_number(concat(id, ',', key))) FROM read_parquet({file})"
EDGES_DIGEST = f"""
SELECT bit_xor(md5_number(
  concat_ws(',', head, graph_name, rank, tail, floor(weight * 1e6 + 0.5)::BIGINT)))
FROM read_parquet({{file}}) e JOIN {_NAMES} n ON n.id = e.relation
"""

# What the targets read

# In the order of the indexes of server.stores.sqlite.sql, and with their conditions

HUB_EDGES = """
COPY (
  SELECT head, relation, tail, rank FROM read_parquet({file}) WHERE rank >= 64
  ORDER BY head, relation, tail
) TO {target} (FORMAT parquet)
"""
MIRRORED_EDGES = """
COPY (
  SELECT tail, relation, weight, head, rank FROM read_parquet({file}) WHERE NOT relation >= 0
  ORDER BY tail, relation, weight DESC, head, rank
) TO {target} (FORMAT parquet)
"""
PART = """
SELECT * EXCLUDE (file_row_number) FROM read_parquet({file}, file_row_number = true)
WHERE file_row_number BETWEEN ? AND ?
"""
COUNT_ROWS = "SELECT count(*) FROM read_parquet({file})"

SAMPLE = """
SELECT h.key, r.name, t.key, e.weight, s.dataset, s.license, e.merged, {surface}
FROM (
  SELECT * FROM read_parquet({edges}) USING SAMPLE reservoir({count} ROWS) REPEATABLE (7)
) e
JOIN read_parquet({concepts}) h ON h.id = e.head JOIN read_parquet({concepts}) t ON t.id = e.tail
JOIN (SELECT unnest($relations, recursive := true)) r(id, name) ON r.id = e.relation
JOIN (SELECT unnest($sources, recursive := true)) s(id, dataset, license) ON s.id = e.source
"""

# For Neo4j. `back_rank` is the place at the tail of an edge that is read from both ends
# (server.stores.neo4j.base.RankedEdge). A key that is too long for an index goes through Python.

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
ORDERED_EDGES = f"""
COPY (
  SELECT m.round, m.lane, e.head, r.name AS relation, e.tail, e.rank, e.back_rank, e.weight,
    s.dataset, s.license, e.merged, {{surface}} AS surface
  {_GRAPH_EDGES}
  JOIN (SELECT unnest($meetings, recursive := true)) m(low, high, round, lane)
    ON m.low = least(e.head % {{buckets}}, e.tail % {{buckets}})
    AND m.high = greatest(e.head % {{buckets}}, e.tail % {{buckets}})
  ORDER BY m.round, m.lane, e.head, r.name, e.rank
) TO {{target}} (FORMAT parquet)
"""
LIVE_EDGES = """
SELECT * EXCLUDE (round, lane) FROM read_parquet({file}) WHERE round = ? AND lane = ? OFFSET ?
"""
LIVE_CONCEPTS = f"""
SELECT id, {_URI.format("")} AS uri, text, language, retrievable
FROM read_parquet({{file}}) WHERE id % ? = ? OFFSET ?
"""

OFFLINE_CONCEPTS = f"""
COPY (
  SELECT id, {_URI.format("")} AS uri, text, language, retrievable, 1 AS generation
  FROM read_parquet({{concepts}})
) TO {{target}} (FORMAT csv, HEADER false, FORCE_QUOTE (uri, text, language))
"""
# In the order of heads: neo4j-admin writes the edges as they come, so those of a concept are then
# read from one place.
OFFLINE_EDGES = f"""
COPY (
  SELECT e.head, e.tail, r.kind, e.rank, e.back_rank, e.weight, s.dataset, s.license,
    {{surface}} AS surface, e.merged,
    CASE WHEN r.kind = r.name THEN NULL ELSE r.name END AS relation
  {_GRAPH_EDGES}
  ORDER BY e.head, e.relation, e.rank
) TO {{target}} (FORMAT csv, HEADER false, FORCE_QUOTE (dataset, license, surface))
"""
