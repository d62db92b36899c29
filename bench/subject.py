"""python -m bench.subject: measures finding a query's subject on a large graph: time and memory.

It asks 200 queries of 40 words from the starter graph, and reads the neighborhood of each subject:
first over the starter graph, then over a generated dump of --edges lines (or the store in --data).
Each runs in a process of its own, so that memory can be compared. Memory is the process's own at
the end (RssAnon). SQLite reads its files with read(), so the base's pages are in the system's
cache, which does not count here. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.generate import ENGLISH, STARTER, generate
from server.graph.relation import Vocabulary
from server.stores.sqlite.store import SqliteStore
from server.tuning.subject.choice import find_subject

QUERIES, WORDS = 200, 40
LIMIT = 64


def queries() -> list[str]:
    """The same queries for every graph."""
    chance = random.Random(40)
    lines = STARTER.read_text(encoding="utf-8").splitlines()
    words = sorted(
        {w for line in lines for uri in line.split("\t")[2:4] for w in uri.split("/")[3].split("_")}
    )
    return [" ".join(chance.choices(words, k=WORDS)) + "?" for _ in range(QUERIES)]


async def ask(folder: Path) -> dict[str, Any]:
    """The milliseconds of each query, and this process's memory after the last one."""
    store = SqliteStore(folder, Vocabulary.built_in())
    took: list[float] = []
    try:
        for query in queries():
            started = time.perf_counter()
            choice = await find_subject(store, "nobody", query)
            took.append(1000 * (time.perf_counter() - started))
            await store.neighborhood("nobody", choice.match.concept, LIMIT)
    finally:
        await store.close()
    return {"ms": took, "rss_bytes": own_memory()}


def own_memory() -> int | None:
    """Bytes of memory that belong only to this process; None if the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def in_a_process(folder: Path) -> dict[str, Any]:
    """What `ask` returns in a new process."""
    command = [sys.executable, "-m", "bench.subject", "--ask", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def load(folder: Path, *arguments: str) -> Path:
    """A store in `folder`, filled with the command that users type."""
    command = [sys.executable, "-m", "kgload", *arguments, "--data", str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return folder


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.subject", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--edges", type=int, default=sum(ENGLISH.values()), help="lines of the generated dump"
    )
    parser.add_argument(
        "--data", type=Path, help="a store that is filled already, in place of a generated one"
    )
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(asyncio.run(ask(options.ask))))
        return
    with tempfile.TemporaryDirectory(prefix="kgt-bench-") as scratch:
        starter, graph = load(Path(scratch) / "starter", "starter"), options.data
        if graph is None:
            generate(Path(scratch) / "dump.csv", options.edges)
            graph = load(Path(scratch) / "graph", "conceptnet", str(Path(scratch) / "dump.csv"))
        small, large = in_a_process(starter), in_a_process(graph)
    document = {
        "queries": QUERIES,
        "words": WORDS,
        "subject_ms": {"starter": _spread(small["ms"]), "graph": _spread(large["ms"])},
        "rss_bytes": {"starter": small["rss_bytes"], "graph": large["rss_bytes"]},
    }
    print(json.dumps(document))


def _spread(took: list[float]) -> dict[str, float]:
    parts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50": round(parts[49], 2), "p99": round(parts[98], 2)}


if __name__ == "__main__":
    main()
