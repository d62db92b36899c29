"""Relations: their names, the phrases that express them, and which of them count as facts."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import permutations
from typing import Any

from server.errors import InvalidVocabulary
from server.graph.concept import concept_key

_NUMBERING = re.compile(r"^\s*(?:[-*•]+|\(?\d{1,2}[.):]|r_?\d+\s*[:=])\s*")
_BLANKS = re.compile(r"[\s_]+")
_EDGE_PUNCTUATION = " \t\r\n\"'`“”‘’.,;:!?<>[](){}"


@dataclass(frozen=True, slots=True)
class Relation:
    """A declared relation.

    `phrases[0]` is the canonical phrase. It verbalises triples, and P(r) in Eq. 5 is its
    probability.
    """

    name: str
    phrases: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    symmetric: bool = False
    retrievable: bool = True

    @property
    def phrase(self) -> str:
        """The canonical phrase."""
        return self.phrases[0]

    def without(self, taken: Container[str]) -> Relation:
        """The relation without the phrases whose keys are in `taken`; the canonical one stays."""
        others = (phrase for phrase in self.phrases[1:] if concept_key(phrase) not in taken)
        return replace(self, phrases=(self.phrase, *others))


def clean_relation_phrase(text: str) -> str:
    """`text` as a relation phrase: without numbering, quotes, final punctuation and extra blanks.

    The case is kept. Cleaning a clean phrase changes nothing, so a stored name names itself.
    """
    while (cleaned := _BLANKS.sub(" ", _NUMBERING.sub("", text)).strip(_EDGE_PUNCTUATION)) != text:
        text = cleaned
    return text


class Vocabulary:
    """The declared relations, and how any other relation is treated.

    A relation that is not declared is *personal*: its name is its own phrase, and it is retrievable
    and not symmetric. The same goes for a relation that the base graph uses without a declaration;
    its name stays as the base has it.
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
        """ConceptNet's relations, from vocabulary.toml next to this file."""
        file = resources.files("server.graph").joinpath("vocabulary.toml")
        return cls.parse(file.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> Vocabulary:
        """The vocabulary in a TOML text of `[[relation]]` tables.

        Raises InvalidVocabulary, naming the relation.
        """
        relations = _relations_in(text)
        _check(relations)
        return cls(relations, _fingerprint(text))

    def extended(self, text: str) -> Vocabulary:
        """This vocabulary together with the relations that another TOML text declares.

        A phrase that both give stays with this vocabulary's relation. Raises InvalidVocabulary.
        """
        taken = {concept_key(phrase) for relation in self for phrase in relation.phrases[1:]}
        added = [relation.without(taken) for relation in _relations_in(text)]
        relations = [*self, *added]
        _check(relations)
        return Vocabulary(relations, _fingerprint(f"{self.fingerprint}\n{text}"), self._base_names)

    def with_base_names(self, names: Iterable[str]) -> Vocabulary:
        """This vocabulary with the names of relations that the base graph uses: each means itself.

        The fingerprint changes only where one of them is not declared.
        """
        undeclared = sorted(set(names) - self._by_name.keys() - self._by_alias.keys())
        if not undeclared:
            return self
        fingerprint = _fingerprint("\n".join([self.fingerprint, *undeclared]))
        return Vocabulary(self, fingerprint, undeclared)

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Relation:
        """The relation called `name`: a personal one where it is not declared."""
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
        """Whether a relation called `name` is declared, or used by the base graph."""
        return name in self._by_name or name in self._base_names

    def relation_named(self, text: str) -> str:
        """The name of the relation that a caller means by `text`.

        Looked for in this order: a declared name or alias, or a name that the base graph uses, each
        letter by letter; then a phrase of a declared relation; otherwise the text itself is the
        phrase. The result names itself. It is empty where nothing is left of the text.
        """
        cleaned = clean_relation_phrase(text)
        return self._exactly(text.strip()) or self._exactly(cleaned) or self.relation_said(cleaned)

    def relation_said(self, text: str) -> str:
        """The name of the relation that a model's `text` expresses: a personal one if no other."""
        cleaned = clean_relation_phrase(text)
        key = concept_key(cleaned)
        declared = self._by_phrase.get(key) or self._by_lower_name.get(key.replace(" ", ""))
        if declared:
            return declared
        folded = clean_relation_phrase(cleaned.casefold())
        return self._exactly(folded) or folded

    def _exactly(self, name: str) -> str | None:
        """The relation called `name` letter by letter: declared, an alias, or the base graph's."""
        if name in self._by_name:
            return name
        return self._by_alias.get(name) or (name if name in self._base_names else None)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Reading a vocabulary file


def _relations_in(text: str) -> list[Relation]:
    try:
        tables = tomllib.loads(text)["relation"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise InvalidVocabulary(
            f"the vocabulary is not TOML with [[relation]] tables: {error}"
        ) from error
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidVocabulary("the vocabulary is not TOML with [[relation]] tables")
    return [_relation_from(table) for table in tables]


def _relation_from(table: Mapping[str, Any]) -> Relation:
    name, phrases = table.get("name", ""), table.get("phrases")
    aliases = table.get("aliases", [])
    unknown = table.keys() - {"name", "phrases", "aliases", "symmetric", "retrievable"}
    if unknown:
        raise InvalidVocabulary(f"relation {name!r} has unknown keys: {', '.join(sorted(unknown))}")
    if not isinstance(name, str) or not name or not isinstance(phrases, list) or not phrases:
        raise InvalidVocabulary(f"relation {name!r} needs a name and at least one phrase")
    if not isinstance(aliases, list) or not all(map(_is_stripped, [*phrases, *aliases])):
        raise InvalidVocabulary(
            f"relation {name!r}: phrases and aliases must be non-empty texts without outer blanks"
        )
    return Relation(
        name=name,
        phrases=tuple(phrases),
        aliases=tuple(aliases),
        symmetric=bool(table.get("symmetric", False)),
        retrievable=bool(table.get("retrievable", True)),
    )


def _is_stripped(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != ""


def _check(relations: Sequence[Relation]) -> None:
    """Raises InvalidVocabulary where two relations could be taken for each other."""
    _require_different_names(relations)
    _require_different_phrases(relations)
    for first, second in permutations(relations, 2):
        if f"{second.phrase} ".startswith(f"{first.phrase} "):
            raise InvalidVocabulary(
                f"the canonical phrase of {first.name} ({first.phrase!r}) begins that of "
                f"{second.name} ({second.phrase!r}): their probabilities could not be distinguished"
            )


def _require_different_names(relations: Iterable[Relation]) -> None:
    names: set[str] = set()
    for relation in relations:
        for name in (relation.name, *relation.aliases):
            if name in names:
                raise InvalidVocabulary(f"the name {name!r} is given to two relations")
            names.add(name)


def _require_different_phrases(relations: Iterable[Relation]) -> None:
    owner: dict[str, str] = {}
    for relation in relations:
        for phrase in relation.phrases:
            other = owner.setdefault(concept_key(phrase), relation.name)
            if other != relation.name:
                raise InvalidVocabulary(
                    f"the phrase {phrase!r} is given to {other} and to {relation.name}"
                )
