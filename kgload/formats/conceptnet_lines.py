"""One line of ConceptNet's dump, checked in Python.

DuckDB finds the malformed lines of a dump; why one is malformed is explained here.
"""

from __future__ import annotations

from kgload.lines import (
    NoTriple,
    checked_concept,
    checked_relation,
    checked_weight,
    has_columns,
    json_document,
)

CONCEPTNET_COLUMNS = 5
EXTERNAL = "/r/ExternalURL"


def conceptnet_fault(line: str, *, external_urls: bool = False) -> str:
    """Why a line of the dump is malformed.

    Empty when it is not, and for a link when links are left out.
    """
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) != CONCEPTNET_COLUMNS:
        return has_columns(len(fields), CONCEPTNET_COLUMNS)
    _, relation, start, end, metadata = fields
    try:
        if not relation.startswith("/r/"):
            raise NoTriple(f"{relation[:80]!r} is not a relation (/r/Name)")
        if relation == EXTERNAL and not external_urls:
            return ""
        checked_relation(relation[3:])
        checked_concept(concept_text(start))
        checked_concept(link_text(end) if relation == EXTERNAL else concept_text(end))
        weight_of(metadata)
    except NoTriple as error:
        return str(error)
    return ""


def concept_text(uri: str) -> str:
    """The text of a concept URI: /c/language/text[/part of speech[/sense]]. Raises NoTriple."""
    parts = uri.split("/")
    if len(parts) < 4 or parts[0] or parts[1] != "c" or not parts[2]:
        raise NoTriple(f"{uri[:80]!r} is not a concept URI (/c/language/text)")
    return parts[3].replace("_", " ")


def link_text(url: str) -> str:
    """The text of a concept that is an address elsewhere. Raises NoTriple.

    Underscores are escaped, because a text has none.
    """
    if not url.startswith(("http://", "https://")):
        raise NoTriple(f"{url[:80]!r} is not an address (http://...)")
    return url.replace("_", "%5F")


def weight_of(metadata: str) -> float:
    """The weight in the JSON metadata of an edge, 1 where there is none. Raises NoTriple."""
    try:
        details = json_document(metadata)
    except NoTriple as error:
        raise NoTriple(f"the metadata {error}") from error
    if not isinstance(details, dict):
        raise NoTriple("the metadata is not a JSON object")
    return checked_weight(details.get("weight", 1.0))
