"""Import what is known about a user: statements, which are learned, and triples, which are taken.

    python examples/import_profile.py --user alice examples/profile.json

A JSON file is a list of objects, a CSV file has a line with the names of its columns. Each row has
a `statement`, or a `head`, a `relation` and a `tail`.

Run it again after it was stopped or killed: each row's request id is made from its content, so a
row that was taken in is not taken in twice. What the user has undone in between stays undone. At
the end there is a report. The exit status is 1 if a row is not taken in.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kgt.client import Client, access_in
from kgt.errors import CallError, InvalidArgument, ResourceExhausted
from kgt.v1 import personalization_pb2 as pb

OF_ROWS = uuid.UUID("5f0f9f0a-6d5b-4c39-9f3c-5f3d2ad6a1f7")
"""The namespace of the request ids. An import that is to be repeated keeps it."""
TRIPLE = ("head", "relation", "tail")
TAKEN_IN = ("taken in", "known before")

Row = Mapping[str, Any]


class WrongFile(Exception):
    """The file cannot be read as a profile."""


def rows_of(path: Path) -> list[Row]:
    """The rows of a JSON or CSV file. Raises WrongFile."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file)) if path.suffix == ".csv" else json.load(file)
    except (OSError, ValueError) as error:
        raise WrongFile(f"{path}: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WrongFile(f"{path}: is not a list of objects")
    return rows


def import_row(client: Client, user: str, row: Row) -> tuple[str, list[str]]:
    """What became of a row, and what to tell about it. Raises CallError."""
    statement = str(row.get("statement") or "").strip()
    triple = tuple(str(row.get(name) or "").strip() for name in TRIPLE)
    if statement:
        learned = client.learn(user=user, text=statement, request_id=request_id(statement))
        return fate(learned), list(told(learned))
    if all(triple):
        head, relation, tail = triple
        done = client.edit_facts(
            user=user, add=[(head, relation, tail)], request_id=request_id(*triple)
        )
        return "taken in" if done.edit.id else "known before", []
    return "rejected", [f"has neither a statement nor a {', a '.join(TRIPLE)}"]


def request_id(*content: str) -> str:
    """The same id for the same content."""
    return str(uuid.uuid5(OF_ROWS, json.dumps(content)))


def fate(learned: pb.LearnResponse) -> str:
    """What became of a statement, in words."""
    if learned.not_understood or not learned.facts:
        return "partly understood" if learned.edit.id else "not understood"
    if learned.edit.id:
        return "taken in"
    known = all(fact.fate == pb.FATE_KNOWN for fact in learned.facts)
    return "known before" if known else "not given back"


def told(learned: pb.LearnResponse) -> Iterator[str]:
    """A line for each fact of a statement, and for each part that was not understood."""
    for fact in learned.facts:
        name = pb.Fate.Name(fact.fate).removeprefix("FATE_").lower().replace("_", " ")
        yield f"{name}: {fact.words}"
    for one in learned.not_understood:
        yield f"not understood: {one.source or one.line}"


def import_profile(client: Client, user: str, rows: list[Row]) -> Counter[str]:
    """Import all rows, and print what becomes of each. Returns how many had which fate.

    Raises CallError, except for a row that the service refuses.
    """
    fates: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        try:
            became, lines = patiently(client, user, row)
        except InvalidArgument as error:
            became, lines = "rejected", [str(error)]
        fates[became] += 1
        print(f"row {number}: {became}", *lines, sep="\n  ", flush=True)
    return fates


def patiently(client: Client, user: str, row: Row) -> tuple[str, list[str]]:
    """Import a row, as often as a busy service says when to come back. Raises CallError."""
    while True:
        try:
            return import_row(client, user, row)
        except ResourceExhausted as error:
            if error.retry_after_s is None:
                raise
            time.sleep(error.retry_after_s)


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-u", "--user", required=True, help="whose profile it is")
    parser.add_argument("--server", default="127.0.0.1:50051", help="the KGT service")
    parser.add_argument("file", type=Path, help="a .json or .csv file")
    options = parser.parse_args()
    try:
        rows = rows_of(options.file)
        with Client(options.server, **access_in(os.environ)) as client:
            fates = import_profile(client, options.user, rows)
    except WrongFile as error:
        print(error, file=sys.stderr)
        return 2
    except CallError as error:
        print(f"{type(error).__name__}: {error}; run it again to go on", file=sys.stderr)
        return 1
    print(f"{len(rows)} rows: " + ", ".join(f"{count} {name}" for name, count in fates.items()))
    return 0 if all(name in TAKEN_IN for name in fates) else 1


if __name__ == "__main__":
    raise SystemExit(main())
