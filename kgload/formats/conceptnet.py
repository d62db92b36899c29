"""ConceptNet's dump of assertions: DuckDB reads and filters it, Python explains what is malformed.

Five columns, divided by tabs: assertion, relation, start, end, metadata (JSON).
"""

from __future__ import annotations

import argparse
import contextlib
import math
from pathlib import Path

from kgload import queries
from kgload.database import quoted
from kgload.errors import LoadError, Miscounted, WrongFile
from kgload.formats.conceptnet_lines import CONCEPTNET_COLUMNS, conceptnet_fault
from kgload.formats.protocol import Job, Reading
from kgload.lines import MAX_WEIGHT, BadLine, bad_line, has_columns
from kgload.plaintext import decoded
from kgload.recipe import Recipe
from kgload.source import Source
from server.graph.checks import MAX_RELATION_BYTES
from server.graph.relation import Vocabulary

ATTRIBUTION = (
    "This graph includes data from ConceptNet 5, which was compiled by the Commonsense Computing"
    " Initiative. ConceptNet 5 is\nfreely available under the Creative Commons"
    " Attribution-ShareAlike license (CC BY-SA 4.0) from https://conceptnet.io.\nThe included data"
    " was created by contributors to Commonsense Computing projects, contributors to Wikimedia"
    " projects,\nGames with a Purpose, Princeton University's WordNet, DBPedia, OpenCyc, and Umbel."
)
"""Bases keep it, and a load with another text counts as another load."""
_PROBED_LINES = 200
_SHARE_OF_A_LANGUAGE = 10
"""One language is at least a tenth of the whole dump."""


class ConceptNet:
    """`python -m kgload conceptnet`."""

    name = "conceptnet"
    help = "ConceptNet's dump of assertions"
    epilog = "example: python -m kgload conceptnet conceptnet-assertions-5.7.0.csv.gz --language en"
    has_surface_text = True

    def add_arguments(self, command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "file",
            metavar="path",
            help="a file, plain or gzip; an http(s) URL; or - for standard input",
        )
        command.add_argument(
            "--language",
            default="en",
            help="languages that both ends must be in, separated by commas; 'all' for any"
            " (default: en)",
        )
        command.add_argument("--min-weight", type=_finite, help="leave out lighter edges")
        command.add_argument(
            "--relations", default="", help="only these relations, separated by commas"
        )
        command.add_argument(
            "--merge-senses",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="make one concept of a text, whatever its senses (default)",
        )
        command.add_argument(
            "--external-urls",
            action="store_true",
            help="take edges to addresses elsewhere too (ExternalURL): people see them in the"
            " graph, but no answer uses them",
        )

    def recipe(
        self, options: argparse.Namespace, vocabulary: Vocabulary
    ) -> tuple[Recipe, Vocabulary]:
        languages = _listed(options.language)
        if not languages:
            raise LoadError("--language: name one, or 'all'")
        recipe = Recipe(
            form=self.name,
            languages=() if "all" in languages else languages,
            min_weight=options.min_weight,
            relations=_listed(options.relations),
            merge_senses=options.merge_senses,
            external_urls=options.external_urls,
            vocabulary=vocabulary.fingerprint,
            attribution=ATTRIBUTION,
        )
        return recipe, vocabulary

    def require(self, source: Source) -> None:
        """Raise WrongFile unless one of the first lines is a line of the dump."""
        fault, seen = "", 0
        with contextlib.closing(source.raw_lines()) as lines:
            for number, raw in lines:
                line = decoded(number, raw)
                why = line.fault or conceptnet_fault(line.text)
                if not why:
                    return
                fault = fault or why
                seen += 1
                if seen == _PROBED_LINES:
                    break
        name = source.identity.name
        if not seen:
            raise WrongFile(f"{name} holds no line of text")
        hint = "; triples of your own are loaded by `python -m kgload triples`"
        raise WrongFile(
            f"{name} is not ConceptNet's dump"
            " (5 tab-separated columns: assertion, relation, start, end, JSON):"
            f" its first line {fault}{hint if 'column' in fault else ''}"
        )

    def kept_bytes(self, source: Source, recipe: Recipe) -> int:
        if recipe.languages or recipe.relations:
            return source.plain_bytes // _SHARE_OF_A_LANGUAGE
        return source.plain_bytes

    def reading(self, job: Job) -> Reading:
        return _DumpReading(job)


class _DumpReading:
    """One pass over a dump."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._bad: list[BadLine] = []
        """Lines that Python rejected before DuckDB saw them."""
        self.records = 0

    def read(self) -> int:
        """Read the dump as it is, or a cleaned copy of it where DuckDB misses some lines."""
        job, db = self._job, self._job.db
        with job.report.phase("counting the lines"):
            survey = job.source.survey()
        self.records = survey.texts
        if survey.plain:
            self._read(job.source.path, compressed=job.source.compressed)
        if not survey.plain or db.number(queries.COUNT_UNREADABLE) or self._lines() != survey.texts:
            copy = job.folder / "lines.tsv"
            self._copy_lines(copy)
            self._read(copy, compressed=False)
        if self._lines() + len(self._bad) != survey.texts:
            raise Miscounted(
                f"{job.source.identity.name}: of {survey.texts:,} lines with text"
                f" {self._lines():,} were read and {len(self._bad):,} rejected;"
                " nothing was changed. This is a fault of the loader: please report it"
            )
        malformed = len(self._bad) + db.number(queries.COUNT_MALFORMED)
        if job.rejects.are_too_many(malformed):
            self._tell(queries.MALFORMED_LINES)
            job.rejects.stop(malformed)
        return malformed

    def tell_rejected(self, rejected: int) -> None:
        if rejected:
            self._tell(queries.MALFORMED_OR_UNUSABLE_LINES)

    def _lines(self) -> int:
        return self._job.db.number(queries.COUNT_LINES)

    def _read(self, path: Path, *, compressed: bool) -> None:
        recipe, db = self._job.recipe, self._job.db
        raw = self._job.folder / "raw.parquet"
        statement = queries.READ_CONCEPTNET.format(
            **_ends(recipe),
            file=quoted(path),
            compression="gzip" if compressed else "none",
            target=quoted(raw),
            max_weight=MAX_WEIGHT,
            relation_bytes=MAX_RELATION_BYTES,
            surface=queries.SURFACE if recipe.surface_text else queries.NO_SURFACE,
            surface_path=queries.SURFACE_PATH if recipe.surface_text else "",
        )
        parameters = {
            "languages": list(recipe.languages),
            "any_language": not recipe.languages,
            "relations": list(recipe.relations),
            "any_relation": not recipe.relations,
            "min_weight": -MAX_WEIGHT if recipe.min_weight is None else recipe.min_weight,
        }
        with self._job.report.phase("reading and filtering") as phase:
            db.do(statement, phase, parameters)
        db.execute(queries.VIEW_RAW.format(file=quoted(raw)))

    def _copy_lines(self, copy: Path) -> None:
        """Write the lines that DuckDB can read, each ended by LF, and reject the others."""
        rejects = self._job.rejects
        with (
            self._job.report.phase("copying the lines that can be read"),
            copy.open("wb") as file,
        ):
            for number, raw in self._job.source.raw_lines():
                line = decoded(number, raw)
                columns = raw.count(b"\t") + 1
                fault = line.fault
                if not fault and columns != CONCEPTNET_COLUMNS:
                    fault = has_columns(columns, CONCEPTNET_COLUMNS)
                if not fault:
                    file.write(raw + b"\n")
                    continue
                self._bad.append(bad_line(number, fault, line.text))
                if rejects.are_too_many(len(self._bad)):
                    rejects.tell(self._bad)
                    rejects.stop(len(self._bad))

    def _tell(self, query: str) -> None:
        """Tell the malformed lines, which `query` finds by their place among those DuckDB read."""
        job = self._job
        with job.report.phase("finding the malformed lines"):
            found = job.db.rows(query, [job.rejects.most])
            places = {place for (place,) in found}
            bad = [*self._bad, *self._lines_at(places)]
        job.rejects.tell(sorted(bad, key=lambda line: line.number))

    def _lines_at(self, places: set[int]) -> list[BadLine]:
        """The lines at these places among the lines that DuckDB read."""
        if not places:
            return []
        unseen = {line.number for line in self._bad}
        last, place = max(places), -1
        bad: list[BadLine] = []
        with contextlib.closing(self._job.source.raw_lines()) as lines:
            for number, raw in lines:
                if number in unseen:
                    continue
                place += 1
                if place in places:
                    bad.append(self._malformed(number, raw))
                if place == last:
                    break
        return bad

    def _malformed(self, number: int, raw: bytes) -> BadLine:
        """A line that DuckDB could not use, and why."""
        text = decoded(number, raw).text
        fault = conceptnet_fault(text, external_urls=self._job.recipe.external_urls)
        return bad_line(number, fault or "the metadata is not JSON that can be read", text)


def _ends(recipe: Recipe) -> dict[str, str]:
    """The parts of the reading statement that say what the two ends of a line are."""
    text = queries.TEXT if recipe.merge_senses else queries.SENSED_TEXT
    links = queries.WITH_LINKS if recipe.external_urls else queries.WITHOUT_LINKS
    return {
        **links,
        "text": text.format("h"),
        "tail": links["tail"].format(text.format("t")),
    }


def _finite(text: str) -> float:
    """The type of an option that is a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _listed(text: str) -> tuple[str, ...]:
    """The parts between commas, each once, in alphabetical order."""
    return tuple(sorted({part.strip() for part in text.split(",")} - {""}))
