"""Runs a benchmark on this source and on another checkout, in turns, and compares the figures.

A benchmark takes `--checkout FOLDER` with the options below as parents of its own. Each turn runs
`python -m bench.NAME` with the same arguments as a process in either folder, so both measure with
the source that they have. The machine is shared by both in the same way, and a figure is the median
over the turns. The last line is JSON: a list of {"figure","here","there","ratio"}.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_NAMING = (
    *("model", "device", "n", "streams", "clients", "store", "foreign", "writers"),
    *("request", "drafts"),
)
"""What distinguishes the entries of a list of figures."""


def options() -> argparse.ArgumentParser:
    """The options of a benchmark that can be compared, to be a parent of its parser."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("comparing with another version")
    group.add_argument(
        "--checkout", type=Path, help="the source of another version, measured in turns with this"
    )
    group.add_argument("--turns", type=int, default=3, help="runs of each (default: 3)")
    return parser


def compare(module: str, arguments: Sequence[str] | None, here: Path = ROOT) -> None:
    """Run `python -m module` in `here` and in the checkout, and print both and the ratio.

    `arguments` are those of the benchmark, --checkout among them; None takes the command line's.
    """
    own, passed_on = options().parse_known_args(arguments)
    folders = {"here": here, "there": own.checkout.resolve()}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in folders}
    for turn in range(own.turns):
        for name, folder in folders.items():
            print(f"turn {turn + 1} of {own.turns}: {folder}", flush=True)
            runs[name].append(dict(figures(_measured(module, passed_on, folder))))
    lines = _compared(_medians(runs["here"]), _medians(runs["there"]))
    print(f"{'':60} {'here':>12} {'there':>12} {'ratio':>8}")
    for line in lines:
        ratio = "-" if line["ratio"] is None else f"{line['ratio']:.3f}"
        print(f"{line['figure']:60} {line['here']:12.4g} {line['there']:12.4g} {ratio:>8}")
    print(json.dumps(lines))


def figures(document: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in a benchmark's JSON document, each with its path.

    Entries of a list are named by what distinguishes them ("n=50"), else by their place.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            if key not in _NAMING:
                yield from figures(value, f"{path} {key}".strip())
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from figures(value, f"{path} {_name_of(value) or place}".strip())
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield path, float(document)


def _name_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        return ""
    return " ".join(f"{key}={entry[key]}" for key in _NAMING if key in entry)


def _measured(module: str, arguments: Sequence[str], folder: Path) -> Any:
    """The JSON document that the benchmark in `folder` prints at the end."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{module} in {folder} ended with {done.returncode}")
    return json.loads(done.stdout.rstrip().rpartition("\n")[2])


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each figure that all runs have."""
    common = set(runs[0]).intersection(*runs[1:])
    medians = {}
    for name in runs[0]:
        if name in common:
            medians[name] = statistics.median([run[name] for run in runs])
    return medians


def _compared(here: dict[str, float], there: dict[str, float]) -> list[dict[str, Any]]:
    """Both values of each figure that both have, and how many times as large it is here."""
    return [
        {
            "figure": name,
            "here": value,
            "there": there[name],
            "ratio": value / there[name] if there[name] else None,
        }
        for name, value in here.items()
        if name in there
    ]
