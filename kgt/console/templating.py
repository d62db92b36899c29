"""The pages' templates. What users wrote is text in all of them: everything is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from kgt.console import words

TEMPLATES = Environment(
    loader=PackageLoader("kgt.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(words.FILTERS)
TEMPLATES.tests.update(words.TESTS)
