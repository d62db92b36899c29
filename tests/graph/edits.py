"""Strategies for every edit that RPCs can make, from all texts that the checks let in."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from server.errors import InvalidRequest
from server.graph.checks import checked_concept, checked_relation, checked_text
from server.graph.concept import Concept
from server.graph.edit import (
    Account,
    Change,
    Edit,
    EditKind,
    Scope,
    StopReason,
    TripleProbabilities,
)
from server.graph.relation import Vocabulary
from server.graph.triple import Mark, Origin, Stamp, Triple, canonical

VOCABULARY = Vocabulary.built_in()

_CORNERS = (
    "_.…!?-–'’\"“()[]{}0123 \t\n\x00\x1b\x85\u00ad\u200b\u200d\u202e\u2066\u2800\u3000\ufe0f\ufeff"
)
_LETTERS = "aZäßıΐﬁŒ中ไนעरक़👩👧€+#%"
texts = st.text(max_size=12) | st.text(st.sampled_from(_CORNERS + _LETTERS), max_size=12)
"""Any text; often one that normalisation changes."""


def accepts(check: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether `check` lets a text in."""

    def accepted(text: str) -> bool:
        try:
            check(text)
        except InvalidRequest:
            return False
        return True

    return accepted


def _concept(text: str) -> Concept:
    return checked_concept(text, "concept")


def _relation(text: str) -> str:
    return checked_relation(text, "relation", VOCABULARY)


def _text(text: str) -> str:
    return checked_text(text, "text")


concepts = texts.filter(accepts(_concept)).map(_concept)
relations = texts.filter(accepts(_relation)).map(_relation) | st.sampled_from(
    [r.name for r in VOCABULARY]
)
triples = st.builds(Triple, concepts, relations, concepts).map(lambda t: canonical(t, VOCABULARY))
sentences = texts.filter(accepts(_text)).map(_text)
ids = st.text("0123456789abcdef", min_size=1, max_size=32)
marks = st.none() | st.builds(
    Mark,
    st.sampled_from([Origin.ADDED, Origin.REMOVED]),
    st.builds(Stamp, st.integers(1, 99), st.integers(0, 99)),
)
_shares = st.floats(0, 1)
_losses = st.floats(0, 50) | st.just(math.inf)
_probabilities = st.none() | st.builds(
    TripleProbabilities, _shares, _shares, _shares, st.none() | _shares
)
_account = st.builds(
    Account,
    sentences,
    sentences,
    concepts.map(str),
    concepts.map(str),
    st.lists(relations, max_size=3).map(tuple),
    _losses,
    _losses,
    st.sampled_from(StopReason),
    st.booleans(),
    st.just("") | sentences,
    st.just("") | sentences,
)


def packed_key(numbers: Sequence[float]) -> bytes:
    """The key in the direction of `numbers`, of which one at least is not near 0."""
    length = math.hypot(*numbers)
    return struct.pack(f"<{len(numbers)}e", *(number / length for number in numbers))


_directions = st.lists(st.floats(-1, 1), min_size=1, max_size=9).filter(
    lambda numbers: math.hypot(*numbers) > 0.01
)
_answered = st.floats(0, 1, exclude_min=True)
scopes = st.builds(
    Scope, sentences, _directions.map(packed_key), ids, st.booleans(), _answered
) | st.builds(Scope, sentences, owned=st.booleans(), answered=_answered)


def _changes(scope: st.SearchStrategy[Scope | None]) -> st.SearchStrategy[Change]:
    return st.builds(Change, triples, marks, marks, _probabilities, scope).filter(_is_made)


def _is_made(change: Change) -> bool:
    """Whether an RPC may make the change: it changes something, and a scope is of an added one."""
    adds = change.after is not None and change.after.origin is Origin.ADDED
    return change.before != change.after and (adds or change.scope is None)


changes = st.lists(
    _changes(st.none()) | _changes(scopes),
    min_size=1,
    max_size=4,
    unique_by=lambda c: c.triple,
).map(tuple)
edits = st.builds(
    Edit,
    id=ids,
    revision=st.integers(1, 1 << 40),
    kind=st.sampled_from(EditKind),
    time_ms=st.integers(0, 1 << 45),
    changes=changes,
    account=st.none() | _account,
    reverts=st.none() | ids,
    relied_on=st.lists(triples, max_size=2).map(tuple),
    message=st.just("") | sentences,
)
"""Edits as EditFacts, Personalize, RevertEdit and ImportOverlay make them."""
