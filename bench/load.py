"""How long loading takes, compared with the floors of the engines.

    python -m bench.load                                    3,423,004 English edges, every target
    python -m bench.load --full                             34,074,917 lines of all languages into
                                                            SQLite and a Neo4j that is not running
    python -m bench.load --edges 50000 --live-edges 5000    a quick look
    python -m bench.load --only sqlite                      one part: sqlite, offline or live

The floors are measured in the same run, on triples that are parsed and merged already:

- SQLite: `sqlite3 .import`, and two covering indexes
- Neo4j, offline: `neo4j-admin database import` of CSV files that are ready
- Neo4j, live: UNWIND in batches over one connection, with the properties that kgload writes; and
  MERGE of one row at a time, with only the weight, on a sample

The last line of output is one JSON document. A part that is not measured, or whose engine is not on
this machine, is null.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import neo4j

from bench.generate import ENGLISH, generate
from kgload.limits import Limits
from kgload.targets.neo4j_offline import find_tool
from testbed.neo4j import AS_IN_COMPOSE, NEEDED, POMS, Database, Unobtainable, jars, neo4j_process

WHOLE_DUMP = 34_074_917
UNWIND_BATCH = 10_000
SAMPLE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Run:
    """The wall time of a command and the peak memory of its processes."""

    seconds: float
    peak_rss_bytes: int


def run(
    command: list[str], environment: dict[str, str] | None = None, stdin: str | None = None
) -> Run:
    """Run a command to its end. If it fails, prints its last output, raises CalledProcessError."""
    with tempfile.TemporaryFile("w+") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            text=True,
        )
        if stdin and process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            print(log.read()[-2000:], file=sys.stderr)
            raise subprocess.CalledProcessError(process.returncode, command)
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def kgload(
    dump: Path, data: Path, *arguments: str, whole: bool, environment: dict[str, str] | None = None
) -> Run:
    """Load a dump by the command that a user types."""
    language = ["--language", "all"] if whole else []
    command = [
        sys.executable,
        "-m",
        "kgload",
        "conceptnet",
        str(dump),
        "--data",
        str(data),
        *language,
        *arguments,
    ]
    return run(command, environment)


# SQLite


def sqlite_floor(plain: Path, folder: Path) -> Run | None:
    """The plainest fast way into SQLite: the shell's import of parsed triples, and two indexes."""
    shell = shutil.which("sqlite3")
    if shell is None:
        print("no sqlite3 shell here: no floor for SQLite", file=sys.stderr)
        return None
    script = f"""PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
CREATE TABLE edges (relation TEXT, head TEXT, tail TEXT, weight REAL);
.mode ascii
.separator "\\t" "\\n"
.import '{plain}' edges
CREATE INDEX by_head ON edges (head, relation, tail, weight);
CREATE INDEX by_tail ON edges (tail, relation, head, weight);
"""
    return run([shell, str(folder / "floor.db")], stdin=script)


# Neo4j, offline


def offline_floor(plain: Path, folder: Path, lib: Path) -> Run:
    """Only neo4j-admin, on CSV files that are ready."""
    home = _home(folder / "floor-home", lib)
    with duckdb.connect() as database:
        database.execute("SET memory_limit = '2GB'")
        database.execute("SET temp_directory = ?", [str(folder / "spill")])
        columns = (
            "{'relation': 'VARCHAR', 'head': 'VARCHAR', 'tail': 'VARCHAR', 'weight': 'DOUBLE'}"
        )
        read = (
            f"read_csv('{plain}', delim = '\t', header = false, quote = '', escape = '',"
            f" columns = {columns})"
        )
        texts = f"SELECT head AS t FROM {read} UNION ALL SELECT tail FROM {read}"
        database.execute(
            f"""COPY (SELECT DISTINCT t AS "uri:ID" FROM ({texts}))
            TO '{folder / "floor-nodes.csv"}' (HEADER, FORCE_QUOTE *)"""
        )
        database.execute(
            f"""COPY (SELECT head AS ":START_ID", tail AS ":END_ID", relation AS ":TYPE",
              weight AS "weight:double" FROM {read})
            TO '{folder / "floor-edges.csv"}' (HEADER, FORCE_QUOTE (":START_ID", ":END_ID"))"""
        )
    tool = find_tool(home, Limits())
    if tool is None:
        raise Unobtainable(NEEDED)
    files = [
        f"--nodes=Concept={folder / 'floor-nodes.csv'}",
        f"--relationships={folder / 'floor-edges.csv'}",
    ]
    home_of = {"NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")}
    return run(
        [
            *tool,
            "database",
            "import",
            "full",
            "neo4j",
            *files,
            f"--report-file={folder / 'report'}",
        ],
        home_of,
    )


def _home(home: Path, lib: Path) -> Path:
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "neo4j.conf").write_text("dbms.usage_report.enabled=false\n")
    (home / "lib").symlink_to(lib)
    return home


# Neo4j, live


def plain_rows(plain: Path) -> Iterator[dict[str, Any]]:
    with plain.open(encoding="utf-8") as file:
        for line in file:
            relation, head, tail, weight = line.rstrip("\n").split("\t")
            yield {"relation": relation, "head": head, "tail": tail, "weight": float(weight)}


def whole_rows(plain: Path) -> Iterator[dict[str, Any]]:
    """Rows with all that kgload keeps of an edge and its concepts, for UNWIND to write the same."""
    for rank, row in enumerate(plain_rows(plain)):
        edge = {
            "weight": row["weight"],
            "dataset": "/d/conceptnet/4/en",
            "license": "cc:by-sa/4.0",
            "surface_text": f"[[{row['head']}]] {row['relation']} [[{row['tail']}]]",
            "merged": 1,
            "rank": rank,
        }
        yield {"relation": row["relation"], "head": row["head"], "tail": row["tail"], "edge": edge}


def by_unwind(session: neo4j.Session, plain: Path) -> int:
    """Batches over one connection, as in the driver's manual. Returns the number of edges."""
    rows, count = whole_rows(plain), 0
    while batch := list(islice(rows, UNWIND_BATCH)):
        for relation in dict.fromkeys(row["relation"] for row in batch):
            session.run(
                "UNWIND $rows AS row"
                " MERGE (h:Concept {uri: row.head})"
                " ON CREATE SET h.text = row.head, h.language = 'en',"
                " h.retrievable = 1, h.generation = 1"
                " MERGE (t:Concept {uri: row.tail})"
                " ON CREATE SET t.text = row.tail, t.language = 'en',"
                " t.retrievable = 1, t.generation = 1"
                f" CREATE (h)-[r:`{relation}`]->(t) SET r = row.edge",
                rows=[row for row in batch if row["relation"] == relation],
            ).consume()
        count += len(batch)
    return count


def by_row(session: neo4j.Session, plain: Path) -> int:
    """One MERGE for each row, as a first attempt does. Returns the number of edges."""
    count = 0
    for row in islice(plain_rows(plain), SAMPLE_ROWS):
        session.run(
            "MERGE (h:Concept {uri: $head}) MERGE (t:Concept {uri: $tail})"
            f" MERGE (h)-[r:`{row['relation']}`]->(t) SET r.weight = $weight",
            {"head": row["head"], "tail": row["tail"], "weight": row["weight"]},
        ).consume()
        count += 1
    return count


def live(dump: Path, plain: Path, folder: Path) -> tuple[dict[str, float], int]:
    """(edges a second by method, peak memory of kgload), each method into an empty Neo4j."""
    rates: dict[str, float] = {}
    peak = 0
    for name in ("live", "unwind", "row_at_a_time"):
        with neo4j_process(folder / f"home-{name}", "lts", AS_IN_COMPOSE) as database:
            if name == "live":
                login = {
                    "KGT_NEO4J_USER": database.login.user,
                    "KGT_NEO4J_PASSWORD": database.login.password,
                }
                loaded = kgload(
                    dump,
                    folder / "live",
                    "--store",
                    database.login.url,
                    whole=False,
                    environment=login,
                )
                rates[name] = sum(1 for _ in plain_rows(plain)) / loaded.seconds
                peak = loaded.peak_rss_bytes
            else:
                rates[name] = _rate(database, by_unwind if name == "unwind" else by_row, plain)
        print(f"{name}: {rates[name]:,.0f} edges a second", flush=True)
    return rates, peak


def _rate(database: Database, work: Callable[[neo4j.Session, Path], int], plain: Path) -> float:
    login = database.login
    with (
        neo4j.GraphDatabase.driver(login.url, auth=(login.user, login.password)) as driver,
        driver.session() as session,
    ):
        session.run("CREATE CONSTRAINT FOR (c:Concept) REQUIRE c.uri IS UNIQUE").consume()
        started = time.monotonic()
        count = work(session, plain)
        return count / (time.monotonic() - started)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--edges", type=int, help="lines of the generated dump")
    parser.add_argument(
        "--full",
        action="store_true",
        help="as large as the whole dump, in all languages; no live Neo4j",
    )
    parser.add_argument(
        "--live-edges", type=int, help="lines of the dump for the live Neo4j (default: all)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where to work; it is kept (default: a temporary folder)",
    )
    parser.add_argument("--only", choices=("sqlite", "offline", "live"), help="measure one part")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(options, options.folder)))
    else:
        with tempfile.TemporaryDirectory(prefix="kgt-bench-") as folder:
            print(json.dumps(measure(options, Path(folder))))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All measurements, as the last line's document."""
    edges = options.edges or (WHOLE_DUMP if options.full else sum(ENGLISH.values()))
    parts = (options.only,) if options.only else ("sqlite", "offline", "live")
    dump, plain = _generated(folder, edges, whole=options.full)
    runs: dict[str, Run | None] = {}
    database_bytes = None
    if "sqlite" in parts:
        runs["sqlite"] = kgload(dump, folder / "embedded", whole=options.full)
        _tell("sqlite", runs["sqlite"])
        runs["sqlite_floor"] = sqlite_floor(plain, folder)
        _tell("sqlite_floor", runs["sqlite_floor"])
        database_bytes = (folder / "embedded" / "base.db").stat().st_size
    rates: dict[str, float] = {}
    live_peak = None
    try:
        lib = jars(POMS["lts"]) if set(parts) & {"offline", "live"} else folder
        if "offline" in parts:
            home = _home(folder / "home", lib)
            runs["offline"] = kgload(
                dump, folder / "offline", "--offline", str(home), whole=options.full
            )
            _tell("offline", runs["offline"])
            runs["offline_floor"] = offline_floor(plain, folder, lib)
            _tell("offline_floor", runs["offline_floor"])
        if "live" in parts and not options.full:
            rates, live_peak = live(
                *_generated(folder, min(options.live_edges or edges, edges), whole=False), folder
            )
    except Unobtainable as reason:
        print(f"{reason}: Neo4j is not measured", file=sys.stderr)
    return _document(edges, runs, rates, live_peak, database_bytes)


def _generated(folder: Path, edges: int, *, whole: bool) -> tuple[Path, Path]:
    dump, plain = folder / f"dump-{edges}.csv", folder / f"plain-{edges}.tsv"
    for file, is_plain in ((dump, False), (plain, True)):
        if not file.exists():
            generate(file, edges, whole=whole, plain=is_plain)
    print(f"{edges:,} lines, {dump.stat().st_size:,} bytes", flush=True)
    return dump, plain


def _tell(name: str, measured: Run | None) -> None:
    if measured is not None:
        print(
            f"{name}: {measured.seconds:.1f} s, peak {measured.peak_rss_bytes >> 20:,} MiB",
            flush=True,
        )


def _document(
    edges: int,
    runs: dict[str, Run | None],
    rates: dict[str, float],
    live_peak: int | None,
    database_bytes: int | None,
) -> dict[str, Any]:
    seconds = {name: round(r.seconds, 2) if r else None for name, r in runs.items()}
    peaks = {
        name: r.peak_rss_bytes if (r := runs.get(name)) else None for name in ("sqlite", "offline")
    }
    return {
        "edges": edges,
        "seconds": {
            name: seconds.get(name)
            for name in ("sqlite", "sqlite_floor", "offline", "offline_floor")
        },
        "edges_per_second": {
            name: round(rates[name], 1) if name in rates else None
            for name in ("live", "unwind", "row_at_a_time")
        },
        "peak_rss_bytes": {**peaks, "live": live_peak},
        "database_bytes": database_bytes,
        "ratios": {
            "sqlite_to_floor": _ratio(seconds.get("sqlite"), seconds.get("sqlite_floor")),
            "offline_to_floor": _ratio(seconds.get("offline"), seconds.get("offline_floor")),
            "live_to_unwind": _ratio(rates.get("live"), rates.get("unwind")),
            "live_to_row": _ratio(rates.get("live"), rates.get("row_at_a_time")),
        },
    }


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 3) if one and other else None


if __name__ == "__main__":
    main()
