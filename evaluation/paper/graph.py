"""The base graphs that the paper's protocol can run on.

The paper equips each model with ConceptNet. Of its 100,000 triples in the reference data, a head
is a subject of CounterFact in 3% of the cases, and none says what is edited. That is nearest to the
paper, whose "no edit" (30 to 36% on CounterFact, against 22% of the unedited GPT2-XL in ROME) shows
that its graph seldom told the truth either. With `truth`, the graph says of every case what is
true, so that an edit has a fact to contradict: harder, and not the paper's.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evaluation.methods.method import EditCase
from evaluation.paper.pararel import ParaRel
from kgload.arguments import parser
from kgload.commands import run_load
from kgload.report import Report
from server.errors import StoreUnusable
from server.settings import Settings
from server.stores.neo4j.connection import EMBEDDED
from training.sources import CONCEPTNET_ORIGIN, present, starter_triples

CONCEPTNET, STARTER_ONLY, TRUTH = BASES = ("conceptnet", "starter", "truth")

Row = tuple[str, str, str, float]
"""Head, relation, tail and weight."""


def rows_of(base: str, data: Path, cases: Sequence[EditCase], pararel: ParaRel) -> Iterator[Row]:
    """The triples of a base graph. Raises DataMissing."""
    yield from starter_triples()
    if base == CONCEPTNET:
        yield from _conceptnet_rows(data)
    if base == TRUTH:
        for case in cases:
            if relation := pararel.labels.get(case.relation):
                yield case.subject, relation, case.target_true, 1.0


def _conceptnet_rows(data: Path) -> Iterator[Row]:
    path = present(data / "conceptnet100k.tsv", CONCEPTNET_ORIGIN)
    for line in path.read_text(encoding="utf-8").splitlines():
        relation, head, tail = line.split("\t")[:3]
        yield head, relation, tail, 1.0


def load(rows: Iterable[Row], file: Path, settings: Settings) -> None:
    """Write the rows to `file`, and load it into the store that the settings name.

    A store that holds this graph already is left as it is. Another graph is replaced in the
    embedded store, which is the run's own. Raises StoreUnusable for a Neo4j that holds another one,
    and LoadError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with io.StringIO(newline="") as written:
        csv.writer(written, delimiter="\t", lineterminator="\n").writerows(
            [("head", "relation", "tail", "weight"), *rows]
        )
        text = written.getvalue()
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    arguments = ["triples", str(file), "--store", settings.store, "--data", str(settings.data)]
    if settings.store == EMBEDDED:
        arguments.append("--replace")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables, which nobody asked for
        try:
            run_load(parser().parse_args(arguments), Report(quiet=True))
        except StoreUnusable as error:
            raise StoreUnusable(
                f"{error}. A run does not replace the graph of a Neo4j;"
                f" `python -m kgload triples {file} --replace` does"
            ) from error
