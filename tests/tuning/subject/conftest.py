"""A base graph to ask about, and users with personal triples."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.history import EditFactsCommand, Historian
from server.tuning.subject.choice import SubjectChoice, find_subject
from server.writing.turns import UserTurns
from server.writing.writes import Writes
from testbed.bases import BaseTriple, build_base
from tests.tuning.subject.asking import Ask, Tell

VOCABULARY = Vocabulary.built_in()
HEADS = {
    "dog": 5, "hot dog": 2, "cat": 3, "park": 9, "dog park": 1, "mouse": 3, "cheese": 8, "bear": 9,
    "polar bear": 2, "polar": 1, "sky": 2, "color": 9, "colour": 9, "grass": 4, "animal": 9,
    "breakfast": 9, "eat breakfast": 2, "eat": 9, "go to work": 3, "work": 9, "wake": 4,
    "wake up": 2, "lamp": 4, "bed": 4, "table": 3, "chair": 2, "pancake": 2, "baker": 4,
    "baking": 1, "purpose": 9, "point": 9, "point of view": 1, "love letter": 2, "people": 1,
    "person": 6, "house": 4, "boat": 3, "cake": 3, "wish": 2, "story": 2, "wolf": 2, "mars": 3,
    "file": 9, "run": 6, "chess": 5, "play chess": 2, "zorb hill": 1, "glasses": 3, "glass": 7,
    "glass house": 1, "straße": 1, "naïve": 1, "犬": 2, "कुत्ता": 1,
    # Real graphs have heads like these; none of them is ever what a query is about.
    "what": 20, "do": 20, "i": 20, "it": 20, "the": 20, "who": 20, "is": 20, "you": 20, "my": 20,
    "something": 20, "in": 20, "how": 20,
}  # fmt: skip
FORMS = {
    "dwarves": "dog", "spectacles": "glasses", "glasses": "glass", "wolves": "wolf",
    "mice": "mouse",
}  # fmt: skip


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    triples = [
        *(
            Triple.of(head, "HasProperty", f"property {n}")
            for head, count in HEADS.items()
            for n in range(count)
        ),
        *(Triple.of(form, "FormOf", base) for form, base in FORMS.items()),
    ]
    build_base(store.folder, [BaseTriple(t) for t in triples], VOCABULARY)
    yield store
    await store.close()


@pytest.fixture
def ask(store: SqliteStore) -> Ask:
    async def ask(query: str, user: str = "alice", at_revision: int | None = None) -> SubjectChoice:
        return await find_subject(store, user, query, at_revision)

    return ask


@pytest.fixture
def tell(store: SqliteStore) -> Tell:
    """Gives a user personal triples, (head, relation, tail) each."""
    historian, writes = Historian(store), Writes(store, UserTurns())

    async def tell(*facts: tuple[str, str, str], user: str = "alice") -> None:
        command = EditFactsCommand.of(user, VOCABULARY, [Triple.of(*f) for f in facts])
        await writes.run(user, lambda snapshot: historian.propose_edit(command, snapshot))

    return tell
