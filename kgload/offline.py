"""The route into a Neo4j that is not running and holds nothing yet: CSV files for `neo4j-admin
database import`.

The fastest way in. It makes a database anew, so it would destroy overlays: any database that is
there is refused.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TextIO

from kgload import queries
from kgload.errors import LoadError
from kgload.live import names_of, notes_of, surface_of
from kgload.report import Report
from kgload.staging import Limits, Stage, connect, execute, quoted
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.base import type_of
from server.stores.neo4j.rows import LONGEST_URI_BYTES, uri_of

DATABASE = "neo4j"
CONCEPT_HEADER = ":ID(concept),uri,text,language,retrievable:long,generation:long\n"
EDGE_HEADER = (
    ":START_ID(concept),:END_ID(concept),:TYPE,rank:long,back_rank:long,weight:double,dataset,license,surface_text,"
    "merged:long,relation\n"
)
GRAPH_HEADER = (
    ":ID(graph),id:long,schema_version:long,state,fingerprint,generation:long,"
    "concepts:long,edges:long,relations:string[],source,declared:string[]\n"
)
_IN_LISTS = "\x1f"
"""Divides the items of a list: no relation's name and no line of TOML has it."""
SCRIPT = "import.sh"
_SCRIPT = """\
# Imports the files beside it into the Neo4j of this home, which must not be running and must hold no database.
set -e
cd {folder}
test -e ../kgload.importing || test ! -e ../../data/databases/neo4j || {{
  echo "there is a database already, and importing would destroy it" >&2
  exit 1
}}
touch ../kgload.importing
export HEAP_SIZE="${{HEAP_SIZE:-{heap}}}"
neo4j-admin {command}
rm -r ../kgload.importing {folder}
"""
_HEAP_SHARE, _OFF_HEAP_SHARE = 0.25, 0.625
"""Of the memory that a load may take; Java itself takes the rest. Off its heap neo4j-admin links
the edges: for 3.4 M it asks for 1.02 GiB, and took 20 s with 1 GiB, 3 to 5 s with 1.25 GiB and
more."""
_LEAST_HEAP = 256 << 20
"""With half of it neo4j-admin cannot import ten lines."""
JVM_FLAGS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dlog4j2.disable.jmx=true",
)


def require_empty(home: Path) -> None:
    """Raise LoadError unless a Neo4j's home holds no database, or one that this route was making
    when it was cut off."""
    if not home.is_dir():
        raise LoadError(
            f"--offline {home}: is no folder; give the home of a Neo4j (the folder above its data)"
        )
    marker = _unfinished(home)
    if marker.exists() and not _started_since(home, marker.stat().st_mtime_ns):
        return
    places = [home / "data" / kind / DATABASE for kind in ("databases", "transactions")]
    if any(folder.is_dir() and any(folder.iterdir()) for folder in places):
        raise LoadError(
            f"{home} holds a database already, and importing would destroy it with all users' edits; start Neo4j and"
            " load it live instead: python -m kgload ... --store neo4j://HOST:7687"
        )


def _started_since(home: Path, time_ns: int) -> bool:
    """Whether a Neo4j has run on this home: it makes a database `system`, which no import does."""
    system = home / "data" / "transactions" / "system"
    return system.exists() and system.stat().st_mtime_ns > time_ns


def load_offline(
    stage: Stage, home: Path, vocabulary: Vocabulary, limits: Limits, report: Report
) -> list[str] | None:
    """Write the files and import them; the command to run by hand where no tool is found, None
    where it ran.

    A load that was killed is taken up by the same command: files that were whole are used, an
    import is done again. Raises LoadError: a database is there, or the import failed.
    """
    require_empty(home)
    folder = home / "import" / "kgload"
    folder.parent.mkdir(exist_ok=True)
    with (home / "import" / "kgload.lock").open("w") as lock:
        _await_import(lock, report)
        if not (folder / stage.name).exists():
            _write(stage, folder, vocabulary, limits, report)
        arguments = _arguments(folder, limits)
        tool = find_tool(home, limits)
        if tool is None:
            script = folder / SCRIPT
            text = _SCRIPT.format(
                folder=shlex.quote(str(folder)), heap=_heap(limits), command=shlex.join(arguments)
            )
            script.write_text(text)
            return ["sh", str(script)]
        _unfinished(home).touch()
        with report.phase("importing with neo4j-admin", stage.concepts + stage.edges):
            _run([*tool, *arguments], home, limits, lock)
        _unfinished(home).unlink()
        shutil.rmtree(folder)
    return None


def _await_import(lock: TextIO, report: Report) -> None:
    """Hold the lock. The tool holds it too: one whose loader was killed writes on, and is waited
    for."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report.note("waiting for an import that a load before this one began")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _unfinished(home: Path) -> Path:
    return home / "import" / "kgload.importing"


def _write(
    stage: Stage, folder: Path, vocabulary: Vocabulary, limits: Limits, report: Report
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "concepts-header.csv").write_text(CONCEPT_HEADER)
    (folder / "edges-header.csv").write_text(EDGE_HEADER)
    names, notes = sorted(name for _, name, _ in stage.relations), notes_of(stage)
    graph = (
        1,
        1,
        cypher.SCHEMA_VERSION,
        cypher.READY,
        stage.fingerprint,
        1,
        stage.concepts,
        stage.edges,
        _IN_LISTS.join(names),
        notes.source,
        _IN_LISTS.join(notes.declared.splitlines()),
    )
    row = ",".join('"' + str(value).replace('"', '""') + '"' for value in graph)
    (folder / "graph.csv").write_text(f"{GRAPH_HEADER}{row}\n", encoding="utf-8")
    kinds = {name: type_of(name, vocabulary) for name in names}
    database = connect(limits, folder / "spill")
    try:
        database.create_function("uri_in_python", uri_of, ["VARCHAR"], "VARCHAR")
        with report.phase("writing the files of concepts") as phase:
            query = queries.OFFLINE_CONCEPTS.format(
                longest=LONGEST_URI_BYTES,
                concepts=quoted(stage.concepts_file),
                target=quoted(folder / "concepts.csv"),
            )
            execute(database, query, phase)
        with report.phase("writing the files of edges") as phase:
            query = queries.OFFLINE_EDGES.format(
                edges=quoted(stage.edges_file),
                surface=surface_of(stage),
                target=quoted(folder / "edges.csv"),
            )
            execute(database, query, phase, names_of(stage, kinds))
        database.remove_function("uri_in_python")
    finally:
        database.close()
    (folder / stage.name).touch()


def _arguments(folder: Path, limits: Limits) -> list[str]:
    """neo4j-admin's. It may overwrite: `require_empty` has seen what is there."""
    return [
        "database",
        "import",
        "full",
        DATABASE,
        f"--nodes=Concept={folder / 'concepts-header.csv'},{folder / 'concepts.csv'}",
        f"--nodes=Graph={folder / 'graph.csv'}",
        f"--relationships={folder / 'edges-header.csv'},{folder / 'edges.csv'}",
        "--id-type=integer",
        "--array-delimiter=U+001F",
        f"--max-off-heap-memory={int(limits.memory_bytes * _OFF_HEAP_SHARE) >> 20}m",
        f"--threads={limits.threads}",
        f"--report-file={folder / 'import.report'}",
        "--overwrite-destination=true",
    ]


def find_tool(home: Path, limits: Limits) -> list[str] | None:
    """How neo4j-admin is called here: the home's own, the one on the path, or the home's jars with
    Java."""
    own = home / "bin" / "neo4j-admin"
    if own.exists():
        return [str(own)]
    if (
        (home / "lib").is_dir()
        and any((home / "lib").glob("neo4j-*.jar"))
        and (java := shutil.which("java"))
    ):
        return [
            java,
            f"-Xmx{_heap(limits)}",
            "-XX:+UseParallelGC",
            *JVM_FLAGS,
            "-cp",
            f"{home / 'lib'}/*",
            "org.neo4j.cli.AdminTool",
        ]
    if on_path := shutil.which("neo4j-admin"):
        return [on_path]
    return None


def _heap(limits: Limits) -> str:
    return f"{max(_LEAST_HEAP, int(limits.memory_bytes * _HEAP_SHARE)) >> 20}m"


def _run(command: list[str], home: Path, limits: Limits, lock: TextIO) -> None:
    environment = {**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")}
    environment.setdefault("HEAP_SIZE", _heap(limits))
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=(lock.fileno(),),
    )
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines()
        last = "\n".join([line for line in told if not line.startswith(("\tat ", "\t... "))][-6:])
        raise LoadError(f"neo4j-admin failed ({shlex.join(command[:1])} ...): {last}")
