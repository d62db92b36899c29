"""What is taken from a file, and how: two loads with the same recipe make the same graph."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is taken from a file, and how. A base keeps it as JSON, so fields are never renamed."""

    form: str = "conceptnet"
    """The name of the format (kgload.formats)."""
    languages: tuple[str, ...] = ("en",)
    """Both ends must be in one of these; empty: any."""
    min_weight: float | None = None
    relations: tuple[str, ...] = ()
    """Only these; empty: all."""
    merge_senses: bool = True
    external_urls: bool = False
    """Whether edges of a dump to addresses elsewhere are taken."""
    columns: tuple[str, ...] = ()
    columns_given: bool = False
    """Whether the user named the columns; a header does not change them then."""
    layout: str = ""
    vocabulary: str = ""
    """The fingerprint of the relation vocabulary."""
    declared: str = ""
    """TOML of relations that the file brings along."""
    attribution: str = ""
    surface_text: bool = False
    """Whether the sentence of a line is kept. Neo4j shows it to people; the embedded store has no
    place for it."""
