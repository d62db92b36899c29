"""The base graphs that the sets are asked on."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from evaluation import everyday
from kgload.arguments import parser
from kgload.commands import run_starter
from kgload.report import Report
from server.graph.relation import Vocabulary
from server.stores.neo4j.connection import EMBEDDED


def build_starter(folder: Path) -> None:
    """Build the small graph that ships with the service. It knows none of the sets' subjects."""
    options = parser().parse_args(["starter", "--store", EMBEDDED, "--data", str(folder)])
    with contextlib.redirect_stdout(io.StringIO()):  # it prints tables, which nobody asked for
        run_starter(options, Report(quiet=True))


def build_everyday(folder: Path) -> None:
    """Build the graph of the everyday cases' own facts."""
    everyday.build_graph(folder, everyday.read_cases(), Vocabulary.built_in())
