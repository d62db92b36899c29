"""python -m kgload stats: what a store holds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from kgload.embedded import present_base
from kgload.errors import LoadError
from kgload.graph import GraphBase
from kgload.report import Report
from server.graph.relation import Vocabulary
from server.stores.neo4j.connection import Neo4jLogin
from server.stores.sqlite.base import BASE_FILE, BaseReader
from server.stores.sqlite.store import OVERLAYS_FILE, SqliteStore

HUBS = 10


def stats(folder: Path, vocabulary: Vocabulary) -> dict[str, Any]:
    """Concepts, edges, relations, the largest hubs, users and edits. Raises LoadError where there
    is no store."""
    if not (folder / BASE_FILE).exists() and not (folder / OVERLAYS_FILE).exists():
        raise LoadError(f"{folder} holds no store; fill one with `python -m kgload starter`")
    present = present_base(folder)
    reader = BaseReader(folder / BASE_FILE)
    try:
        counts = reader.counts()
        hubs = reader.largest_hubs(HUBS)
        attribution = reader.meta("attribution")
    finally:
        reader.close()
    return {
        "base_graph": counts.fingerprint,
        "loaded_from": present.identity.name if present.identity else "",
        "concepts": counts.concepts,
        "edges": counts.edges,
        "relations": dict(sorted(counts.by_relation.items(), key=lambda item: (-item[1], item[0]))),
        "hubs": dict(hubs),
        **_personal(folder, vocabulary),
        "attribution": attribution,
    }


def graph_stats(login: Neo4jLogin) -> dict[str, Any]:
    """The same of a Neo4j. Raises LoadError where it holds no base."""
    base = GraphBase(login)
    present, totals, relations = base.present(), base.totals(), base.counted_relations()
    return {
        "base_graph": base.fingerprint,
        "loaded_from": present.identity.name if present.identity else "",
        "concepts": base.concepts(),
        "edges": sum(relations.values()),
        "relations": dict(sorted(relations.items(), key=lambda item: (-item[1], item[0]))),
        "hubs": dict(base.largest_hubs(HUBS)),
        "users": totals["users"],
        "edits": totals["edits"],
        "attribution": present.recipe.attribution if present.recipe else "",
    }


def _personal(folder: Path, vocabulary: Vocabulary) -> dict[str, int]:
    if not (folder / OVERLAYS_FILE).exists():
        return {"users": 0, "edits": 0}
    store = SqliteStore(folder, vocabulary)
    try:
        counts = asyncio.run(store.counts())
    finally:
        store.close_now()
    return {"users": counts.users, "edits": counts.edits}


def show(found: dict[str, Any], report: Report, *, as_json: bool) -> None:
    """Print it: tables for people, one JSON document for programs."""
    if as_json:
        report.line(json.dumps(found, ensure_ascii=False))
        return
    report.table("Relations", ("relation", "edges"), list(found["relations"].items()))
    report.table("Largest hubs", ("concept", "edges"), list(found["hubs"].items()))
    totals = ("base_graph", "loaded_from", "concepts", "edges", "users", "edits")
    report.table(
        "In all", ("what", "value"), [(name.replace("_", " "), found[name]) for name in totals]
    )
    if found["attribution"]:
        report.line(found["attribution"])
