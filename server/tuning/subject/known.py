"""What the store knows of a query's spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from server.graph.concept import Concept
from server.tuning.ports import ConceptEntry, GraphStore
from server.tuning.subject.spans import Span

Entries = Mapping[str, ConceptEntry]
"""What is known of concepts, by their keys."""


async def looked_up(
    store: GraphStore, user: str, spans: Iterable[Span], at_revision: int | None
) -> Entries:
    """The entries of all spans, of their possible base forms, and of those that the graph names."""
    keys: dict[str, None] = {}
    for span in spans:
        keys.update(dict.fromkeys((span.key, *span.singulars, *span.verbs)))
    if not keys:
        return {}
    entries = dict(await store.look_up(user, list(keys), at_revision))
    forms = {form for entry in entries.values() for form in entry.forms_of} - entries.keys()
    if forms:
        entries |= await store.look_up(user, sorted(forms), at_revision)
    return entries


def best_known(span: Span, entries: Entries, *, verb: bool = False) -> ConceptEntry | None:
    """The concept that a span names or is a form of; None where there is none.

    Among several, the one with the most personal triples, then with the most triples in the base.
    With `verb`, a span that is not itself a concept may be the -ing form of one.
    """

    def triples(entry: ConceptEntry) -> tuple[int, int]:
        return entry.personal_triples, entry.retrievable_triples

    keys = [span.key, *span.singulars]
    if verb and span.key not in entries:
        keys += span.verbs
    return max(_named_by(keys, entries), key=triples, default=None)


def _named_by(keys: Iterable[str], entries: Entries) -> Iterator[ConceptEntry]:
    for key in keys:
        if (entry := entries.get(key)) is not None:
            yield entry
            yield from (entries[form] for form in entry.forms_of if form in entries)


def named(span: Span, entries: Entries) -> ConceptEntry:
    """The entry of a name, or of the personal concept it would become. Names are not inflected."""
    return entries.get(span.key) or unknown(span)


def unknown(span: Span) -> ConceptEntry:
    """The entry of a span that is not yet a concept."""
    return ConceptEntry(
        Concept.of(span.text), in_base=False, retrievable_triples=0, personal_triples=0
    )
