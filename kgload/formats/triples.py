"""One's own triples: tab-separated lines, CSV or JSON lines, read in Python (kgload.rows)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from kgload import queries
from kgload.database import quoted
from kgload.errors import LoadError, Miscounted
from kgload.formats.protocol import Job, Reading
from kgload.lines import BadLine, Header
from kgload.recipe import Recipe
from kgload.rows import (
    COLUMNS,
    NEEDED,
    Columns,
    Item,
    Reader,
    comma_rows,
    json_rows,
    tabbed_rows,
)
from kgload.source import Source, read_text
from server.graph.relation import Vocabulary

LAYOUTS: Mapping[str, Reader] = {"tsv": tabbed_rows, "csv": comma_rows, "jsonl": json_rows}
_ENDINGS = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Triples:
    """`python -m kgload triples`."""

    name = "triples"
    help = "your own triples: tab-separated, CSV or JSON lines"
    epilog = "example: python -m kgload triples graph.tsv --columns relation,head,tail"
    has_surface_text = False

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "file", help="a file, plain or gzip; an http(s) URL; or - for standard input"
        )
        command.add_argument(
            "--columns",
            help="the order of the columns head, relation, tail, weight"
            " (default: as in the header, else head,relation,tail)",
        )
        command.add_argument(
            "--format",
            choices=sorted(LAYOUTS),
            help="how the lines are written (default: by the file's ending)",
        )
        command.add_argument(
            "--declare",
            type=Path,
            help="TOML file that gives names and phrases to relations outside ConceptNet's list",
        )

    def recipe(
        self, options: argparse.Namespace, vocabulary: Vocabulary
    ) -> tuple[Recipe, Vocabulary]:
        given = options.columns is not None
        columns = _columns(options.columns) if given else NEEDED
        declared = read_text(options.declare) if options.declare else ""
        if declared:
            vocabulary = vocabulary.extended(declared)
        recipe = Recipe(
            form=self.name,
            languages=(),
            columns=columns,
            columns_given=given,
            layout=options.format or _layout(options.file),
            vocabulary=vocabulary.fingerprint,
            declared=declared,
        )
        return recipe, vocabulary

    def require(self, source: Source) -> None:
        """Any text may hold triples."""

    def kept_bytes(self, source: Source, recipe: Recipe) -> int:
        return source.plain_bytes

    def reading(self, job: Job) -> Reading:
        return _RowsReading(job)


class _RowsReading:
    """One pass over a file of triples. Python checks each line, and DuckDB reads the good ones."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._bad: list[BadLine] = []
        self.records = 0

    def read(self) -> int:
        job, name = self._job, self._job.source.identity.name
        recipe, spool = job.recipe, job.folder / "rows.tsv"
        columns = Columns(recipe.columns, recipe.columns_given)
        survey = job.source.survey()
        with job.report.phase("reading"):
            rows = LAYOUTS[recipe.layout](job.source.lines(), columns)
            covered, kept = self._spool(rows, spool)
        job.rejects.tell(self._bad)
        if job.rejects.are_too_many(len(self._bad)):
            job.rejects.stop(len(self._bad))
        if not kept:
            raise LoadError(
                f"{name}: no line was a triple ({len(self._bad):,} malformed lines);"
                " nothing was changed"
            )
        read = self._read(spool)
        if covered != survey.texts or read != kept:
            raise Miscounted(
                f"{name}: of {survey.texts:,} lines with text {covered:,} were read,"
                f" and of {kept:,} triples {read:,} were staged; nothing was changed."
                " This is a fault of the loader: please report it"
            )
        return len(self._bad)

    def tell_rejected(self, rejected: int) -> None:
        """All were told by `read`: it checks every text and relation."""

    def _spool(self, rows: Iterable[Item], spool: Path) -> tuple[int, int]:
        """Write the triples for DuckDB. Returns the lines covered, and how many are triples."""
        covered = kept = 0
        with spool.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                covered += row.lines
                if isinstance(row, Header):
                    continue
                self.records += 1
                if isinstance(row, BadLine):
                    self._bad.append(row)
                    if self._job.rejects.are_too_many(len(self._bad)):
                        break
                    continue
                file.write(f"{row.weight!r}\t{row.relation}\t{row.head}\t{row.tail}\n")
                kept += 1
        return covered, kept

    def _read(self, spool: Path) -> int:
        """Let DuckDB read the triples. Returns how many it found."""
        raw = self._job.folder / "raw.parquet"
        with self._job.report.phase("staging") as phase:
            query = queries.READ_ROWS.format(target=quoted(raw), file=quoted(spool))
            self._job.db.do(query, phase)
        self._job.db.execute(queries.VIEW_RAW.format(file=quoted(raw)))
        return self._job.db.number(queries.COUNT_LINES)


def _columns(text: str) -> tuple[str, ...]:
    """The columns that `--columns` names. Raises LoadError."""
    columns = tuple(part.strip() for part in text.split(",") if part.strip())
    if not set(NEEDED) <= set(columns) <= set(COLUMNS) or len(set(columns)) != len(columns):
        raise LoadError(
            f"--columns {text}: name head, relation, tail, and weight if there is one, once each"
        )
    return columns


def _layout(name: str) -> str:
    """How the lines of a file are written, by its name."""
    endings = Path(name).suffixes
    if endings and endings[-1] == ".gz":
        endings = endings[:-1]
    return _ENDINGS.get(endings[-1].casefold() if endings else "", "tsv")
