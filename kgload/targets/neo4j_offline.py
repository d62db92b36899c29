"""A Neo4j that is not running as a target: CSV files for `neo4j-admin database import`.

The fastest way in. The import makes a new database and would destroy overlays, so a home that has
a database already is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kgload import queries
from kgload.database import Database, quoted
from kgload.errors import LoadError
from kgload.limits import Limits
from kgload.report import Report
from kgload.source import Identity
from kgload.targets.neo4j_graph import names_of, notes_of, surface_of
from kgload.targets.protocol import Choice, Plan, Stats, StoredBase
from kgload.workspace import Workspace
from server.graph.relation import Vocabulary
from server.stores.neo4j import cypher
from server.stores.neo4j.base import type_of
from server.stores.neo4j.rows import LONGEST_URI_BYTES, uri_of

DATABASE = "neo4j"
CONCEPT_HEADER = ":ID(concept),uri,text,language,retrievable:long,generation:long\n"
EDGE_HEADER = (
    ":START_ID(concept),:END_ID(concept),:TYPE,rank:long,back_rank:long,weight:double,"
    "dataset,license,surface_text,merged:long,relation\n"
)
GRAPH_HEADER = (
    ":ID(graph),id:long,schema_version:long,state,fingerprint,generation:long,"
    "concepts:long,edges:long,relations:string[],source,declared:string[]\n"
)
_IN_LISTS = "\x1f"
"""Separates the items of a list: no relation's name and no line of TOML contains it."""
SCRIPT = "import.sh"
_SCRIPT = """\
# Imports the files next to it into the Neo4j of this home,
# which must not be running and must hold no database.
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
"""Shares of the memory that a load may take; Java itself takes the rest. neo4j-admin links the
edges off its heap: for 3.4 M edges it asks for 1.02 GiB, and it took 20 s with 1 GiB, 3 to 5 s with
1.25 GiB and more."""
_LEAST_HEAP = 256 << 20
"""With half of this, neo4j-admin cannot import ten lines."""
JVM_FLAGS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dlog4j2.disable.jmx=true",
)


class Neo4jOffline:
    """A Neo4j by its home: it is not running, and has no database yet."""

    keeps_surface_text = True

    def __init__(self, home: Path, report: Report) -> None:
        self._home, self._report = home, report

    @classmethod
    def chosen(cls, choice: Choice, report: Report) -> Neo4jOffline | None:
        return cls(choice.offline, report) if choice.offline is not None else None

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        require_empty(self._home)
        yield

    def holds_a_base(self) -> bool:
        """Never: a home with a database is refused."""
        return False

    def holds(self, plan: Plan, identity: Identity) -> bool:
        return False

    def put(self, workspace: Workspace, plan: Plan, scratch: Path) -> None:
        """Write the files and import them, or say by which command that is done.

        A load that was killed goes on by the same command: complete files are used again, and the
        import is repeated.
        """
        command = _import(workspace, self._home, plan, self._report)
        if command is None:
            self._report.line(
                "imported; the server makes the constraints when it first starts on it"
            )
            return
        self._report.line("neo4j-admin was not found; the files are written, now run where it is:")
        self._report.line("  " + shlex.join(command))

    def stored(self) -> StoredBase:
        raise self._cannot_be_read()

    def stats(self, vocabulary: Vocabulary) -> Stats:
        raise self._cannot_be_read()

    def _cannot_be_read(self) -> LoadError:
        return LoadError(f"{self._home}: start this Neo4j, and give its address as --store")


def require_empty(home: Path) -> None:
    """Raise LoadError where a Neo4j's home holds a database.

    One that a load was importing when it was cut off does not count.
    """
    if not home.is_dir():
        raise LoadError(
            f"--offline {home}: is not a folder; give the home of a Neo4j"
            " (the folder above its data)"
        )
    marker = _unfinished(home)
    if marker.exists() and not _started_since(home, marker.stat().st_mtime_ns):
        return
    places = [home / "data" / kind / DATABASE for kind in ("databases", "transactions")]
    if any(folder.is_dir() and any(folder.iterdir()) for folder in places):
        raise LoadError(
            f"{home} holds a database already, and importing would destroy it with all users'"
            " edits; start Neo4j and load it live instead:"
            " python -m kgload ... --store neo4j://HOST:7687"
        )


def _started_since(home: Path, time_ns: int) -> bool:
    """Whether a Neo4j has run on this home: it makes a database `system`, which no import does."""
    system = home / "data" / "transactions" / "system"
    return system.exists() and system.stat().st_mtime_ns > time_ns


def _import(workspace: Workspace, home: Path, plan: Plan, report: Report) -> list[str] | None:
    """Write the files and import them. Returns the command to run by hand where no tool is found.

    Raises LoadError: a database is there, or the import failed.
    """
    require_empty(home)
    limits = plan.limits
    folder = home / "import" / "kgload"
    folder.parent.mkdir(exist_ok=True)
    with (home / "import" / "kgload.lock").open("w") as lock:
        _await_import(lock, report)
        if not (folder / workspace.name).exists():
            _write(workspace, folder, plan, report)
        arguments = _arguments(folder, limits)
        tool = find_tool(home, limits)
        if tool is None:
            return ["sh", str(_write_script(folder, arguments, limits))]
        _unfinished(home).touch()
        with report.phase("importing with neo4j-admin", workspace.concepts + workspace.edges):
            _run([*tool, *arguments], home, limits, lock)
        _unfinished(home).unlink()
        shutil.rmtree(folder)
    return None


def _write_script(folder: Path, arguments: list[str], limits: Limits) -> Path:
    """The import as a script for a machine that has the tool."""
    script = folder / SCRIPT
    home_folder, command = shlex.quote(str(folder)), shlex.join(arguments)
    script.write_text(_SCRIPT.format(folder=home_folder, heap=_heap(limits), command=command))
    return script


def _await_import(lock: TextIO, report: Report) -> None:
    """Hold the lock. The tool holds it too, so one that outlived its loader is waited for."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        report.note("waiting for an import that a load before this one began")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _unfinished(home: Path) -> Path:
    """The file that marks a home while an import is under way."""
    return home / "import" / "kgload.importing"


def _write(workspace: Workspace, folder: Path, plan: Plan, report: Report) -> None:
    """Write the CSV files; an empty file with the graph's name says that they are complete."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "concepts-header.csv").write_text(CONCEPT_HEADER)
    (folder / "edges-header.csv").write_text(EDGE_HEADER)
    (folder / "graph.csv").write_text(GRAPH_HEADER + _graph_row(workspace), encoding="utf-8")
    kinds = {name: type_of(name, plan.vocabulary) for _, name, _ in workspace.relations}
    with Database(plan.limits, folder / "spill") as db:
        db.define("uri_in_python", uri_of)
        with report.phase("writing the files of concepts") as phase:
            query = queries.OFFLINE_CONCEPTS.format(
                longest=LONGEST_URI_BYTES,
                concepts=quoted(workspace.concepts_file),
                target=quoted(folder / "concepts.csv"),
            )
            db.do(query, phase)
        with report.phase("writing the files of edges") as phase:
            query = queries.OFFLINE_EDGES.format(
                edges=quoted(workspace.edges_file),
                surface=surface_of(workspace),
                target=quoted(folder / "edges.csv"),
            )
            db.do(query, phase, names_of(workspace, kinds))
    (folder / workspace.name).touch()


def _graph_row(workspace: Workspace) -> str:
    """The node that says what the graph is, as a line of CSV."""
    notes = notes_of(workspace)
    names = sorted(name for _, name, _ in workspace.relations)
    values = (
        1,
        1,
        cypher.SCHEMA_VERSION,
        cypher.READY,
        workspace.fingerprint,
        1,
        workspace.concepts,
        workspace.edges,
        _IN_LISTS.join(names),
        notes.source,
        _IN_LISTS.join(notes.declared.splitlines()),
    )
    return ",".join('"' + str(value).replace('"', '""') + '"' for value in values) + "\n"


def _arguments(folder: Path, limits: Limits) -> list[str]:
    """The arguments of neo4j-admin. It may overwrite: `require_empty` has checked the home."""
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
    """How neo4j-admin is called here; None where it is not found.

    It is the home's own, the home's jars with Java, or the one on the path.
    """
    own = home / "bin" / "neo4j-admin"
    if own.exists():
        return [str(own)]
    has_jars = (home / "lib").is_dir() and any((home / "lib").glob("neo4j-*.jar"))
    java = shutil.which("java")
    if has_jars and java:
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
