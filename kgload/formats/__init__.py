"""The kinds of files that can be loaded. A new one is a module here and a line in the table."""

from __future__ import annotations

from collections.abc import Mapping

from kgload.formats.conceptnet import ConceptNet
from kgload.formats.protocol import Format
from kgload.formats.triples import Triples

FORMATS: Mapping[str, Format] = {
    "conceptnet": ConceptNet(),
    "triples": Triples(),
}
"""By `Recipe.form`."""
