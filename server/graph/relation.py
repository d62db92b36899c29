"""Relations: their names, how they are said, and which of them count as facts."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from server.errors import InvalidVocabulary
from server.graph.concept import concept_key

_NUMBERING = re.compile(r"^\s*(?:[-*•]+|\(?\d{1,2}[.):]|r_?\d+\s*[:=])\s*")
_BLANKS = re.compile(r"[\s_]+")
_EDGE_PUNCTUATION = " \t\r\n\"'`“”‘’.,;:!?<>[](){}"


@dataclass(frozen=True, slots=True)
class Relation:
    """A declared relation.

    `phrases[0]` is the canonical phrase: it verbalises triples and is what P(r) is the probability
    of (Eq. 5).
    """

    name: str
    phrases: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    symmetric: bool = False
    retrievable: bool = True

    @property
    def phrase(self) -> str:
        return self.phrases[0]


def clean_relation_phrase(text: str) -> str:
    """`text` as a relation phrase: numbering, quotes and final punctuation stripped, blanks
    collapsed, case kept.

    A phrase that is clean stays as it is, so that what was stored names itself.
    """
    while (cleaned := _BLANKS.sub(" ", _NUMBERING.sub("", text)).strip(_EDGE_PUNCTUATION)) != text:
        text = cleaned
    return text


class Vocabulary:
    """The declared relations, and how any other relation is treated.

    A relation that is not declared is *personal*: its name is its own phrase, it is retrievable and
    not symmetric. So is one that the base graph uses without declaring it; its name is kept as the
    base has it.
    """

    def __init__(
        self, relations: Iterable[Relation], fingerprint: str = "", base_names: Iterable[str] = ()
    ) -> None:
        self._by_name = {relation.name: relation for relation in relations}
        self._base_names = frozenset(base_names) - self._by_name.keys()
        self._by_alias = {alias: r.name for r in self for alias in r.aliases}
        self._by_phrase = {concept_key(p): r.name for r in self if r.retrievable for p in r.phrases}
        self._by_lower_name = {r.name.casefold(): r.name for r in self if r.retrievable}
        self.fingerprint = fingerprint

    @classmethod
    def built_in(cls) -> Vocabulary:
        """ConceptNet's relations, from vocabulary.toml beside this file."""
        return cls.parse(
            resources.files("server.graph").joinpath("vocabulary.toml").read_text(encoding="utf-8")
        )

    @classmethod
    def parse(cls, text: str) -> Vocabulary:
        """The vocabulary in a TOML text of `[[relation]]` tables. Raises InvalidVocabulary, naming
        the relation."""
        relations = _relations_in(text)
        _check(relations)
        return cls(relations, hashlib.sha256(text.encode()).hexdigest()[:16])

    def extended(self, text: str) -> Vocabulary:
        """This vocabulary and the relations that another TOML text declares. Raises
        InvalidVocabulary.

        A phrase that both give stays with this vocabulary's relation.
        """
        taken = {concept_key(phrase) for relation in self for phrase in relation.phrases[1:]}
        added = [
            replace(
                r, phrases=(r.phrase, *(p for p in r.phrases[1:] if concept_key(p) not in taken))
            )
            for r in _relations_in(text)
        ]
        relations = [*self, *added]
        _check(relations)
        fingerprint = hashlib.sha256(f"{self.fingerprint}\n{text}".encode()).hexdigest()[:16]
        return Vocabulary(relations, fingerprint, self._base_names)

    def with_base_names(self, names: Iterable[str]) -> Vocabulary:
        """This vocabulary and the names of relations that the base graph uses: each then means
        itself.

        The fingerprint stays as it is where all of them are declared.
        """
        undeclared = sorted(set(names) - self._by_name.keys() - self._by_alias.keys())
        if not undeclared:
            return self
        text = "\n".join([self.fingerprint, *undeclared])
        return Vocabulary(self, hashlib.sha256(text.encode()).hexdigest()[:16], undeclared)

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Relation:
        """The relation called `name`; a personal one when it is not declared."""
        return self._by_name.get(name) or Relation(name, (name,))

    def phrase(self, name: str) -> str:
        """The canonical phrase of the relation called `name`."""
        return self.get(name).phrase

    def is_symmetric(self, name: str) -> bool:
        return self.get(name).symmetric

    def is_retrievable(self, name: str) -> bool:
        return self.get(name).retrievable

    def retrievable(self) -> tuple[Relation, ...]:
        """The declared relations that count as facts, in the file's order."""
        return tuple(r for r in self if r.retrievable)

    def symmetric_names(self) -> frozenset[str]:
        return frozenset(r.name for r in self if r.symmetric)

    def canonical_name(self, name: str) -> str:
        """`name` with other data sets' names replaced by this vocabulary's."""
        return self._by_alias.get(name, name)

    def uses(self, name: str) -> bool:
        """Whether `name` is that of a declared relation, or of one that the base graph uses."""
        return name in self._by_name or name in self._base_names

    def relation_named(self, text: str) -> str:
        """The name of the relation that a caller means by `text`.

        A declared name or alias, then a name that the base graph uses, each letter by letter; then
        a phrase of a declared relation; else the text itself as a phrase. A name that was found so
        names itself. Empty where nothing is left.
        """
        cleaned = clean_relation_phrase(text)
        return self._exactly(text.strip()) or self._exactly(cleaned) or self.relation_said(cleaned)

    def relation_said(self, text: str) -> str:
        """The name of the relation whose phrases contain `text` (generated by a model), else a
        personal relation."""
        cleaned = clean_relation_phrase(text)
        key = concept_key(cleaned)
        declared = self._by_phrase.get(key) or self._by_lower_name.get(key.replace(" ", ""))
        if declared:
            return declared
        folded = clean_relation_phrase(cleaned.casefold())
        return self._exactly(folded) or folded

    def _exactly(self, name: str) -> str | None:
        """The relation that has `name` letter by letter, as its own, as an alias, or in the base
        graph."""
        if name in self._by_name:
            return name
        return self._by_alias.get(name) or (name if name in self._base_names else None)


def _relations_in(text: str) -> list[Relation]:
    try:
        tables = tomllib.loads(text)["relation"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise InvalidVocabulary(
            f"the vocabulary is not TOML with [[relation]] tables: {error}"
        ) from error
    return [_relation_from(table) for table in tables]


def _relation_from(table: Mapping[str, Any]) -> Relation:
    name = table.get("name", "")
    unknown = set(table) - {"name", "phrases", "aliases", "symmetric", "retrievable"}
    if unknown:
        raise InvalidVocabulary(f"relation {name!r} has unknown keys: {', '.join(sorted(unknown))}")
    phrases, aliases = table.get("phrases"), table.get("aliases", [])
    if not name or not isinstance(phrases, list) or not phrases:
        raise InvalidVocabulary(f"relation {name!r} needs a name and at least one phrase")
    if not all(
        isinstance(text, str) and text.strip() == text and text for text in [*phrases, *aliases]
    ):
        raise InvalidVocabulary(
            f"relation {name!r}: phrases and aliases are non-empty texts without outer blanks"
        )
    return Relation(
        name=name,
        phrases=tuple(phrases),
        aliases=tuple(aliases),
        symmetric=bool(table.get("symmetric", False)),
        retrievable=bool(table.get("retrievable", True)),
    )


def _check(relations: list[Relation]) -> None:
    names: set[str] = set()
    for relation in relations:
        for name in (relation.name, *relation.aliases):
            if name in names:
                raise InvalidVocabulary(f"the name {name!r} is given to two relations")
            names.add(name)
    owner: dict[str, str] = {}
    for relation in relations:
        for phrase in relation.phrases:
            other = owner.setdefault(concept_key(phrase), relation.name)
            if other != relation.name:
                raise InvalidVocabulary(
                    f"the phrase {phrase!r} is given to {other} and to {relation.name}"
                )
    for first in relations:
        for second in relations:
            if first is not second and f"{second.phrase} ".startswith(f"{first.phrase} "):
                raise InvalidVocabulary(
                    f"the canonical phrase of {first.name} ({first.phrase!r}) begins that of {second.name}"
                    f" ({second.phrase!r}): their probabilities could not be told apart"
                )
