"""A file of any size like ConceptNet's dump: its counts by relation, hubs, URIs and metadata.

    python -m bench.generate FILE --edges 3423004          like the English part of ConceptNet 5.7
    python -m bench.generate FILE --edges 34074917 --all   like the whole dump: 10% English, other
                                                           languages, URLs
    python -m bench.generate FILE --edges 3423004 --plain  parsed triples (relation, head, tail,
                                                           weight)

The same arguments make the same file. The counts are those of the edges of the 5.7 dump with
English at both ends (3,423,004 edges). Other sizes are in proportion, and no relation vanishes.
Words are made up, except for those of the starter graph: a large file contains its lines, and its
commonest concepts are hubs, so that a demo can tell a story.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import duckdb

from kgload.database import quoted

STARTER = Path(__file__).parent.parent / "kgload" / "starter" / "starter.csv"

ENGLISH: Mapping[str, int] = {
    "RelatedTo": 1_703_582,
    "FormOf": 378_859,
    "DerivedFrom": 325_374,
    "HasContext": 232_935,
    "IsA": 230_137,
    "Synonym": 222_156,
    "UsedFor": 39_790,
    "EtymologicallyRelatedTo": 32_075,
    "SimilarTo": 30_280,
    "AtLocation": 27_797,
    "HasSubevent": 25_238,
    "HasPrerequisite": 22_710,
    "CapableOf": 22_677,
    "Antonym": 19_066,
    "Causes": 16_801,
    "PartOf": 13_077,
    "MannerOf": 12_715,
    "MotivatedByGoal": 9_489,
    "HasProperty": 8_433,
    "ReceivesAction": 6_037,
    "HasA": 5_545,
    "CausesDesire": 4_688,
    "dbpedia/genre": 3_824,
    "HasFirstSubevent": 3_347,
    "DistinctFrom": 3_315,
    "Desires": 3_170,
    "dbpedia/genus": 2_937,
    "NotDesires": 2_886,
    "HasLastSubevent": 2_874,
    "DefinedAs": 2_173,
    "InstanceOf": 1_480,
    "dbpedia/influencedBy": 1_273,
    "dbpedia/occupation": 1_043,
    "dbpedia/language": 916,
    "dbpedia/field": 643,
    "dbpedia/knownFor": 607,
    "MadeOf": 545,
    "dbpedia/product": 519,
    "dbpedia/capital": 459,
    "Entails": 405,
    "NotCapableOf": 329,
    "NotHasProperty": 327,
    "CreatedBy": 263,
    "dbpedia/leader": 84,
    "EtymologicallyDerivedFrom": 71,
    "LocatedNear": 49,
    "SymbolOf": 4,
}
"""Edges of each relation with English at both ends.

The counts of the 37 relations outside DBpedia are those that a public script noted for the 5.7 dump
(the public repository morimar32/ConceptFor). For the ten of DBpedia only the sum is checked,
against the total of 3,423,004 edges and 47 relations."""

FOREIGN: Mapping[str, int] = {
    "ExternalURL": 4_000_000,
    "FormOf": 10_000_000,
    "RelatedTo": 7_500_000,
    "Synonym": 4_400_000,
    "EtymologicallyRelatedTo": 1_600_000,
    "DerivedFrom": 1_450_000,
    "HasContext": 800_000,
    "IsA": 500_000,
    "Antonym": 250_000,
    "SymbolOf": 150_000,
}
"""Roughly the rest of the dump (`--all`): inflections, translations and links."""

PART_LINES = 2_000_000
"""A file is made in parts. A part has more lines than this only if one relation has."""
CONCEPTS_PER_EDGE, FOREIGN_CONCEPTS_PER_EDGE = 0.51, 0.65
"""The size of the pool from which edges draw their ends, in English and in other languages.

3.42 M English edges have 1.63 M texts, as in the dump. 34 M edges of all languages have about 17 M
texts, and more URIs than the 28 M of the dump, because each edge draws the senses of its words."""
TAIL_SKEW = 4.0
HEAD_SKEW = 2.6
"""An id is the pool's size times u to this power. The first id gets about 1% to 3% of all edges: a
hub of 10^5 edges in 3.4 M. Heads of FormOf are not skewed: a word is a form of one or two others.
"""
EVERYDAY_CONCEPTS, EVERYDAY_FIRST, EVERYDAY_STEP = 300, 20, 7
"""The places of the starter graph's commonest concepts: `dog` has some 2,000 edges in 3.4 M, as in
the real dump."""

_FUNCTIONS = r"""
CREATE MACRO chance(i, salt) AS
  (md5_number_lower(i::VARCHAR || salt) >> 11)::DOUBLE / 9007199254740992.0;
CREATE MACRO syllable(n) AS ['ka','lo','mer','tin','sha','bro','vel','du','fen','gra','hol','ix',
  'jun','pel','ros','wy','an','bel','cor','dis','el','for','gam','her','in','jo','ker','lin','mon',
  'nor','op','per'][1 + n % 32];
CREATE MACRO word(n) AS syllable(n) || syllable(n // 32)
  || CASE WHEN n > 1024 THEN syllable(n // 1024) ELSE '' END
  || CASE WHEN n > 32768 THEN syllable(n // 32768) ELSE '' END
  || CASE WHEN n > 1048576 THEN syllable(n // 1048576) ELSE '' END;
CREATE MACRO concept_text(n) AS CASE
  WHEN n >= {first} AND (n - {first}) % {step} = 0
    AND (n - {first}) // {step} < len(getvariable('everyday'))
  THEN getvariable('everyday')[1 + (n - {first}) // {step}] ELSE made_up_text(n) END;
CREATE MACRO made_up_text(n) AS CASE n % 7
  WHEN 0 THEN word(n) || '_' || word(n // 7 % 3000)
  WHEN 1 THEN word(n % 40) || '_' || word(n // 7) || '_' || word(n % 900)
  ELSE word(n)
    || CASE WHEN n % 31 = 0 THEN '''s' WHEN n % 37 = 0 THEN '_' || n % 100 ELSE '' END END;
CREATE MACRO sense(c) AS CASE
  WHEN c < 0.52 THEN '' WHEN c < 0.74 THEN '/n' WHEN c < 0.80 THEN '/v' WHEN c < 0.86 THEN '/a'
  WHEN c < 0.93 THEN '/n/wn/artifact' ELSE '/n/wikt/en_1' END;
CREATE MACRO letter(n) AS chr(1072 + (n % 32)::INT);
CREATE MACRO foreign_text(n) AS CASE n % 3
  WHEN 0 THEN chr(19968 + (n // 3 % 20000)::INT) || chr(19968 + (n // 60000 % 20000)::INT)
  WHEN 1 THEN letter(n) || letter(n // 32) || letter(n // 1024) || letter(n // 32768)
    || letter(n // 1048576)
  ELSE word(n) || 'é' END;
CREATE MACRO surface(uri) AS replace(split_part(uri, '/', 4), '_', ' ');
CREATE MACRO language(n) AS ['fr','de','ja','ru','es','zh','it','la','pt','fi'][1 + n % 10];
"""

_TOLD = """
CREATE TABLE told AS SELECT row_number() OVER (ORDER BY uri) AS i, r, r[4:] AS relation, h, t,
  json_extract(m, '$.weight')::DOUBLE AS weight
FROM read_csv({file}, delim = '\t', quote = '', escape = '', header = false, auto_detect = false,
  columns = {{'uri': 'VARCHAR', 'r': 'VARCHAR', 'h': 'VARCHAR', 't': 'VARCHAR', 'm': 'VARCHAR'}})
"""
_EVERYDAY = """
SELECT list(split_part(h, '/', 4)) FROM (
  SELECT h FROM told GROUP BY h ORDER BY count(*) DESC, h LIMIT {count})
"""
_UNTOLD = """
DELETE FROM told WHERE relation NOT IN (
  SELECT told.relation FROM told JOIN wanted USING (relation) WHERE english
  GROUP BY told.relation, wanted.count HAVING 2 * count(*) <= wanted.count
);
UPDATE wanted SET count = count - (
  SELECT count(*) FROM told WHERE told.relation = wanted.relation) WHERE english;
"""
"""Leaves out the starter graph's lines of rare relations, and counts the others in: a relation has
as many lines with them as without."""

_POOLS = f"""
SELECT greatest(10, floor({CONCEPTS_PER_EDGE} * sum(count) FILTER (english)))::BIGINT,
  greatest(10, floor(
    {FOREIGN_CONCEPTS_PER_EDGE} * coalesce(sum(count) FILTER (NOT english), 0)))::BIGINT
FROM wanted
"""
_EDGES = """
SELECT i, relation, english,
  floor(pool * pow(chance(i, 'h'), CASE
    WHEN chance(i, 's') < 0.5 OR relation = 'FormOf' THEN 1.0
    ELSE {head_skew} END))::BIGINT AS head,
  floor(pool * pow(chance(i, 't'), CASE
    WHEN chance(i, 'r') < 0.2 THEN 1.0 ELSE {tail_skew} END))::BIGINT AS tail,
  CASE WHEN chance(i, 'w') < 0.855 THEN 1.0 WHEN chance(i, 'w') < 0.95 THEN 2.0
    ELSE round(0.1 + 9 * chance(i, 'v'), 3) END AS weight
FROM (
  SELECT relation, english, CASE WHEN english THEN {english} ELSE {foreign} END AS pool,
    unnest(range(first, first + count)) AS i
  FROM wanted WHERE list_contains(getvariable('relations'), relation)
)
"""

_URIS = """
SELECT i, '/r/' || relation AS r, weight, relation,
  CASE WHEN english THEN '/c/en/' || concept_text(head)
    ELSE '/c/' || language(head) || '/' || foreign_text(head) END
    || sense(chance(i, 'p')) AS h,
  CASE WHEN relation = 'ExternalURL' THEN 'http://en.dbpedia.org/resource/' || concept_text(tail)
    WHEN english THEN '/c/en/' || concept_text(tail)
    ELSE '/c/' || CASE WHEN tail % 2 = 0 THEN 'en/' || concept_text(tail % {english})
      ELSE language(tail) || '/' || foreign_text(tail) END
    END || CASE WHEN relation <> 'ExternalURL' AND chance(i, 'q') > 0.9 THEN '/n' ELSE '' END AS t
FROM edges
UNION ALL SELECT i, r, weight, relation, h, t FROM told
  WHERE list_contains(getvariable('relations'), relation)
"""

_RELATIONS = """
SELECT relation, sum(count)
FROM (SELECT relation, count FROM wanted UNION ALL SELECT relation, 1 FROM told)
GROUP BY relation ORDER BY relation
"""
_ORDERED = "CREATE OR REPLACE TABLE ordered AS SELECT * FROM uris ORDER BY r, h, t, i"
_LINES = """
SELECT '/a/[' || r || '/,' || h || '/,' || t || '/]' AS uri, r, h, t,
  CASE WHEN relation IN ('RelatedTo', 'FormOf', 'DerivedFrom', 'Synonym', 'HasContext',
      'EtymologicallyRelatedTo', 'ExternalURL')
    THEN '{"dataset": "/d/wiktionary/en", "license": "cc:by-sa/4.0", "sources": [{"contributor": '
      || '"/s/resource/wiktionary/en", "process": "/s/process/wikiparsec/2"}], "weight": '
      || weight || '}'
  WHEN relation LIKE 'dbpedia%'
    THEN '{"dataset": "/d/dbpedia/en", "license": "cc:by-sa/4.0", "sources": [{"contributor": '
      || '"/s/resource/dbpedia/2015/en"}], "weight": ' || weight || '}'
  ELSE '{"dataset": "/d/conceptnet/4/en", "license": "cc:by/4.0", "sources": [{"activity": '
      || '"/s/activity/omcs/omcs1_possibly_free_text", "contributor": "/s/contributor/omcs/user'
      || i % 9000 || '"}], '
      || '"surfaceEnd": "' || surface(t) || '", "surfaceStart": "' || surface(h)
      || '", "surfaceText": "[[' || surface(h) || ']] and [[' || surface(t) || ']]", "weight": '
      || weight || '}' END AS metadata
FROM ordered
"""

_PLAIN = """
SELECT relation, replace(split_part(h, '/', 4), '_', ' ') AS head,
  replace(split_part(t, '/', 4), '_', ' ') AS tail, max(weight) AS weight
FROM uris WHERE relation <> 'ExternalURL' GROUP BY ALL ORDER BY ALL
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--edges", type=int, default=sum(ENGLISH.values()))
    parser.add_argument(
        "--all", action="store_true", help="other languages and URLs too, as in the whole dump"
    )
    parser.add_argument(
        "--plain", action="store_true", help="relation, head, tail and weight, merged"
    )
    options = parser.parse_args()
    started = time.monotonic()
    generate(options.file, options.edges, whole=options.all, plain=options.plain)
    seconds = time.monotonic() - started
    print(f"{options.file}: {options.file.stat().st_size:,} bytes in {seconds:.1f} s")


def generate(
    file: Path, edges: int, *, whole: bool = False, plain: bool = False, memory: str = "4GB"
) -> None:
    """Write `edges` lines to `file` in ConceptNet's format, or merged triples if `plain`."""
    with duckdb.connect() as connection:
        # One thread: with more, DuckDB 2.0 writes wide lines out of order, a chunk at a time.
        connection.execute("SET threads = 1")
        connection.execute("SET memory_limit = ?", [memory])
        connection.execute("SET temp_directory = ?", [f"{file}.tmp"])
        _everyday(connection)
        connection.execute(
            "CREATE TABLE wanted (relation VARCHAR, english BOOLEAN, first BIGINT, count BIGINT)"
        )
        first = 0
        for relation, english, count in counts(edges, whole=whole):
            connection.execute(
                "INSERT INTO wanted VALUES (?, ?, ?, ?)", [relation, english, first, count]
            )
            first += count
        connection.execute(_UNTOLD)
        (pools,) = connection.execute(_POOLS).fetchall()
        pool = dict(zip(("english", "foreign"), pools, strict=True))
        shape = _EDGES.format(**pool, head_skew=HEAD_SKEW, tail_skew=TAIL_SKEW)
        connection.execute(f"CREATE VIEW edges AS {shape}")
        connection.execute(f"CREATE VIEW uris AS {_URIS.format(**pool)}")
        draft = Path(f"{file}.new")
        with draft.open("wb") as out:
            for relations in _parts(connection):
                connection.execute("SET VARIABLE relations = ?", [relations])
                if not plain:
                    connection.execute(_ORDERED)
                _append(connection, _PLAIN if plain else _LINES, out, Path(f"{file}.part"))
    draft.replace(file)


def _parts(connection: duckdb.DuckDBPyConnection) -> Iterator[list[str]]:
    """The relations in the order of a dump, some at a time: sorting all takes more memory."""
    part, lines = [], 0
    for relation, count in connection.execute(_RELATIONS).fetchall():
        part.append(relation)
        lines += count
        if lines > PART_LINES:
            yield part
            part, lines = [], 0
    yield part


def _append(
    connection: duckdb.DuckDBPyConnection, query: str, out: BinaryIO, scratch: Path
) -> None:
    form = "(FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"
    connection.execute(f"COPY ({query}) TO {quoted(scratch)} {form}")
    with scratch.open("rb") as lines:
        shutil.copyfileobj(lines, out, 1 << 20)
    scratch.unlink()


def _everyday(connection: duckdb.DuckDBPyConnection) -> None:
    """Read the starter graph, and name hubs after its commonest concepts."""
    connection.execute(_TOLD.format(file=quoted(STARTER)))
    found = connection.execute(_EVERYDAY.format(count=EVERYDAY_CONCEPTS)).fetchall()
    connection.execute("SET VARIABLE everyday = ?", found[0])
    connection.execute(_FUNCTIONS.format(first=EVERYDAY_FIRST, step=EVERYDAY_STEP))


def counts(edges: int, *, whole: bool = False) -> list[tuple[str, bool, int]]:
    """(relation, whether English, lines), about `edges` in all, each relation at least once."""
    parts = [(name, True, count) for name, count in ENGLISH.items()]
    if whole:
        parts += [(name, False, count) for name, count in FOREIGN.items()]
    total = sum(count for _, _, count in parts)
    scaled = [(name, english, max(1, count * edges // total)) for name, english, count in parts]
    rest = edges - sum(count for _, _, count in scaled)
    name, english, count = scaled[0]
    return [(name, english, max(1, count + rest)), *scaled[1:]]


if __name__ == "__main__":
    main()
