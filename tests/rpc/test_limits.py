"""The contract says the limits that the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.errors import RevertBlocked
from server.graph.checks import MAX_CONCEPT_BYTES, MAX_RELATION_BYTES, MAX_TEXT_BYTES
from server.graph.codec import MAX_EDIT_BYTES
from server.rpc import limits, responses
from server.rpc.load import Load
from server.rpc.rates import SERVICE_RATE, USER_RATE, parsed
from server.tuning.export_format import MAX_BYTES, MAX_LINES, MAX_TRIPLES
from server.tuning.ports import KEPT_ERASURES_S, KEPT_RESPONSES, Page
from server.writing.quotas import Quotas

CONTRACT = (Path(__file__).parents[2] / "proto" / "kgt" / "v1" / "personalization.proto").read_text(
    encoding="utf-8"
)
WORDS = re.sub(r"\s*\n\s*(?://)? *", " ", CONTRACT)
"""The contract without its line breaks."""
TABLE = dict(re.findall(r"^//   (\w[^:\n]*): (\d+)", CONTRACT, re.MULTILINE))
LOAD = Load()
QUOTAS = Quotas()


def per_minute(rate: str) -> int:
    (item,) = parsed(rate)
    assert item.get_expiry() == 60
    return item.amount


@pytest.mark.parametrize(
    ("what", "limit"),
    {
        "user": limits.MAX_USER_BYTES,
        "request_id, edit_id": limits.MAX_REQUEST_ID_BYTES,
        "concept (head, tail, subject, object)": MAX_CONCEPT_BYTES,
        "relation": MAX_RELATION_BYTES,
        "query, answer, answer_before, a candidate*": LOAD.text_bytes,
        "triples of an EditFacts": limits.MAX_TRIPLES,
        "relations of a Personalize": limits.MAX_RELATIONS,
        "text, context of a Learn": limits.MAX_MESSAGE_TEXT_BYTES,
        "candidates of an Answer": limits.MAX_CANDIDATES,
        "facts of a Retrieve": limits.MAX_FACTS,
        "items of a page": limits.MAX_PAGE,
        "message from a caller*": LOAD.message_bytes,
        "message to a caller": limits.MAX_RESPONSE_BYTES,
        "lines of an ImportOverlay": LOAD.import_lines,
        "bytes of an ImportOverlay": LOAD.import_bytes,
        "triples that the edits of an ImportOverlay change": MAX_TRIPLES,
        "imports under way, of one user*": LOAD.user_imports,
        "imports under way, of all users*": LOAD.imports,
        "exports under way, of one user*": LOAD.user_exports,
        "exports under way, of all users*": LOAD.exports,
        "seconds that an ImportOverlay may take to come in": int(LOAD.import_s),
        "seconds that the server waits for a message, or for one to be taken*": int(LOAD.idle_s),
        "seconds that the messages of a stream may wait to be taken, all together": int(
            LOAD.stream_s
        ),
        "calls under way, of one user*": LOAD.user_calls,
        "calls under way, of all users*": LOAD.calls,
        "calls for one user*": per_minute(USER_RATE),
        "calls by one service, for all users*": per_minute(SERVICE_RATE),
        "facts of one user, added and removed*": QUOTAS.facts,
        "edits of one user that are kept*": QUOTAS.edits,
        "bytes of one user's edits, as an export has them*": QUOTAS.history_bytes,
    }.items(),
)
def test_the_contracts_table_has_the_limit(what: str, limit: int) -> None:
    assert int(TABLE[what]) == limit


def test_the_contracts_table_has_nothing_else() -> None:
    assert len(TABLE) == 30
    assert (LOAD.text_bytes, LOAD.message_bytes) == (MAX_TEXT_BYTES, limits.MAX_MESSAGE_BYTES)


def test_a_full_history_with_its_reverts_fits_an_import() -> None:
    header_and_footer = 2
    assert 2 * QUOTAS.edits + header_and_footer <= LOAD.import_lines == MAX_LINES
    assert 2 * QUOTAS.history_bytes < LOAD.import_bytes == MAX_BYTES


def comments(field: str) -> list[str]:
    """The comment above each field with this name, on one line."""
    field_with_comment = rf"((?:^ *//[^\n]*\n)*)^ *(?:optional |repeated )?\w+ {field} = \d+;"
    found = re.findall(field_with_comment, CONTRACT, re.MULTILINE)
    return [re.sub(r"\s*\n?\s*// ?", " ", comment).strip() for comment in found]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("user", f"At most {limits.MAX_USER_BYTES} bytes"),
        ("request_id", f"At most {limits.MAX_REQUEST_ID_BYTES} bytes"),
        ("head", f"At most {MAX_CONCEPT_BYTES} bytes"),
        ("tail", f"At most {MAX_CONCEPT_BYTES} bytes"),
        ("relation", f"At most {MAX_RELATION_BYTES} bytes"),
        ("page_size", f"Default {limits.DEFAULT_PAGE}, at most {limits.MAX_PAGE}"),
        ("add", f"At most {limits.MAX_TRIPLES} of both"),
    ],
)
def test_each_field_says_its_limit(field: str, says: str) -> None:
    found = comments(field)
    assert found
    assert all(says in comment for comment in found)


@pytest.mark.parametrize(
    "words",
    [
        f"at most {limits.MAX_RELATIONS}, each at most {MAX_RELATION_BYTES} bytes",
        f"At most {MAX_TEXT_BYTES} bytes",
        f"At most {limits.MAX_CANDIDATES}.",
        f"more than {limits.MAX_TRIPLES} triples or {MAX_EDIT_BYTES >> 20} MiB",
        f"about {Page(1).max_bytes >> 20} MiB",
        f"until {KEPT_RESPONSES:,} newer ones",
        f"for {KEPT_ERASURES_S // 86_400} days",
        f"the first {RevertBlocked.NAMED} of the later edits",
        f"The first {responses.MOST_NAMED}.",
    ],
)
def test_the_contract_says_the_other_limits(words: str) -> None:
    assert words in WORDS
