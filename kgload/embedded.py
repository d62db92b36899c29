"""The embedded store's route: a base file built aside from a stage, and moved into place whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from kgload import queries
from kgload.errors import DiskFull, LoadError, OtherBase
from kgload.report import Report
from kgload.source import Identity
from kgload.staging import Limits, Recipe, Stage, connect, quoted, recipe_from, translated
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.bulk import BaseBuilder, Step
from server.stores.sqlite.private_files import sync_file

SCRATCH = ".loading"
BATCH = 100_000
_BYTES_PER_EDGE = 60
_BYTES_PER_CONCEPT = 110
_STAGED_SHARE = 0.12
"""Of a dump's text: what its staging takes beside the base (seen: 0.1)."""
_BASE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class PresentBase:
    """What the store's base says of itself."""

    fingerprint: str
    identity: Identity | None
    recipe: Recipe | None


def present_base(folder: Path) -> PresentBase:
    """The base in `folder`; with an empty fingerprint where there is none. Raises StoreUnusable."""
    reader = BaseReader(folder / BASE_FILE)
    try:
        source = reader.meta("source")
        fingerprint = reader.fingerprint
    finally:
        reader.close()
    return described(fingerprint, source)


def described(fingerprint: str, source: str) -> PresentBase:
    """A base by its fingerprint and what was noted of where it came from, where anything was."""
    if not source:
        return PresentBase(fingerprint, None, None)
    try:
        document = json.loads(source)
        return PresentBase(
            fingerprint, Identity(**document["identity"]), recipe_from(document["recipe"])
        )
    except (ValueError, TypeError, KeyError):
        return PresentBase(fingerprint, None, None)


def refuse_other(present: PresentBase, folder: Path, identity: Identity, recipe: Recipe) -> bool:
    """True where `folder` holds this very load already. Raises OtherBase where it certainly holds
    another."""
    if present.identity is None or present.recipe is None:
        return False
    if present.recipe != recipe or not present.identity.same_content(identity):
        raise OtherBase(
            f"{folder} holds the base graph of {present.identity.name} already (or other options made it);"
            " pass --replace to put this one in its place (users' edits stay)"
        )
    return present.identity.same_file(identity)


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """The folder beside the base where a load works; one load at a time. It stays when a load is
    cut off.

    Raises LoadError where another load is under way, or nothing can be written.
    """
    scratch = folder / SCRATCH
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        lock = (scratch / "lock").open("w")
    except OSError as error:
        raise LoadError(
            f"--data {folder}: {error.strerror}; name a folder that can be written"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LoadError(f"another load into {folder} is under way") from error
        yield scratch


def clear_scratch(folder: Path) -> None:
    """Forget an interrupted load and what a finished one worked with."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def require_room(folder: Path, plain_bytes: int) -> None:
    """Raise DiskFull unless the disk has room for a load of a text of `plain_bytes`, most of it
    kept."""
    needed = int(plain_bytes * (_STAGED_SHARE + _BASE_SHARE))
    _require(folder, needed)


def _require(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"the disk under {folder} has {free >> 20:,} MiB free, and the load may take {needed >> 20:,} MiB;"
            " nothing was changed"
        )


def load_stage(
    stage: Stage, folder: Path, scratch: Path, limits: Limits, report: Report, batch: int = BATCH
) -> None:
    """Build the base of `stage` and swap it in; goes on where a killed run of the same stage had
    come to.

    Raises DiskFull and LoadError; the base in place is untouched then.
    """
    building = scratch / BASE_FILE
    if not building.exists():
        _require(folder, stage.edges * _BYTES_PER_EDGE + stage.concepts * _BYTES_PER_CONCEPT)
    database = connect(limits, scratch / "spill")
    try:
        builder = BaseBuilder(building, f"{stage.name} {_boot()}")
        try:
            _fill(builder, stage, database, report, batch)
            with report.phase("building the indexes"):
                builder.finish(_meta(stage))
        finally:
            builder.close()
    except (sqlite3.Error, duckdb.Error, OSError) as error:
        raise translated(error, stage.identity.name, folder) from error
    finally:
        database.close()
    (scratch / BASE_FILE).replace(folder / BASE_FILE)
    sync_file(folder)


def _fill(
    builder: BaseBuilder,
    stage: Stage,
    database: duckdb.DuckDBPyConnection,
    report: Report,
    batch: int,
) -> None:
    for step, rows in (("relations", stage.relations), ("sources", stage.sources)):
        if builder.position(step) == 0:  # type: ignore[arg-type]
            builder.add(step, rows, len(rows))  # type: ignore[arg-type]
    edges = queries.EDGES_FROM.format(file=quoted(stage.edges_file))
    _pour(builder, "edges", database, edges, stage.edges, report, batch)
    concepts = queries.CONCEPTS_FROM.format(file=quoted(stage.concepts_file))
    _pour(builder, "concepts", database, concepts, stage.concepts, report, batch)


def _pour(
    builder: BaseBuilder,
    step: Step,
    database: duckdb.DuckDBPyConnection,
    query: str,
    total: int,
    report: Report,
    batch: int,
) -> None:
    """Move the rows of a query into the base, batch by batch, from the position that is committed."""
    position = builder.position(step)
    with report.phase(f"loading the {step}", total) as progress:
        result = database.execute(query, [position])
        while rows := result.fetchmany(batch):
            position += len(rows)
            builder.add(step, rows, position)
            progress.at(position / total)


def _meta(stage: Stage) -> dict[str, str]:
    source = {"identity": asdict(stage.identity), "recipe": asdict(stage.recipe)}
    return {
        "fingerprint": stage.fingerprint,
        "stage": stage.name,
        "source": json.dumps(source, ensure_ascii=False),
        "declared": stage.recipe.declared,
        "attribution": stage.recipe.attribution,
    }


def _boot() -> str:
    """Names this run of the machine: after a power cut no half-built file is trusted."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return str(os.environ.get("HOSTNAME", ""))
