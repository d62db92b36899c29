"""From parsed triples to the base of a Neo4j graph, by way of a file of the embedded store that merges and ranks them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from kgload.load import Loaded, load
from kgload.parse import BadLine
from server.graph.relation import Vocabulary
from server.stores.neo4j_base import LoadedBase, SqliteSource, load_base, prepare_graph
from server.stores.neo4j_connection import Connection, Neo4jLogin
from server.stores.sqlite_base import BASE_FILE, BaseReader, BaseTriple


async def load_into_neo4j(
    parsed: Iterable[BaseTriple | BadLine], login: Neo4jLogin, vocabulary: Vocabulary, *, replace: bool
) -> Loaded:
    """Load the base; the same one again changes nothing, one that was stopped goes on from there.

    Raises LoadError and StoreUnusable, and then nothing was changed.
    """
    with tempfile.TemporaryDirectory(prefix="kgload-") as folder:
        staged = load(parsed, Path(folder), vocabulary, replace=True)
        reader = BaseReader(Path(folder) / BASE_FILE)
        try:
            loaded = await _ship(reader, login, vocabulary, replace=replace)
        finally:
            reader.close()
    return Loaded(loaded.counts, staged.bad_lines, loaded.unchanged)


async def _ship(reader: BaseReader, login: Neo4jLogin, vocabulary: Vocabulary, *, replace: bool) -> LoadedBase:
    connection = Connection(login)
    try:
        await connection.require_usable()
        await prepare_graph(connection)
        return await load_base(connection, SqliteSource(reader), vocabulary, replace=replace)
    finally:
        await connection.close()
