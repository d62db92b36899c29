"""Which concept a query is about (e_q), when the caller does not say. The paper assumes it
labelled.

A query's words are cut into spans; the store tells which spans are concepts, of the base or of this
user, one index look-up per span. Among the candidates the first of these rules that tells them
apart decides:

1. concepts at which this user has personal triples
2. what is more than a word of the question itself ("which colour", "the purpose of", "like")
3. what stands in a sentence that asks, and in the last of several
4. proper-name spans ("Danielle Darrieux")
5. what somebody's own is ("my garden shed"), known or not: whoever says "my" says what the talk is about
6. the longest run that is a concept (plurals and inflected forms by FormOf)
7. what stands where a question's subject stands ("does a dog"), before what stands where its verb does
8. more retrievable triples
9. the rightmost

With no candidate the rightmost run of content words is the subject, as a personal concept. A text
that no concept may have (an address of 600 characters, a sentence of a script without blanks) is no
candidate.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from server.errors import SubjectNotFound
from server.graph.checks import is_concept_name
from server.graph.concept import ARTICLES, Concept, concept_key
from server.tuning.function_words import (
    ABBREVIATIONS,
    ADVERBS,
    ASKING_VERBS,
    AUXILIARIES,
    FORMS_OF_BE,
    FRAME_NOUNS,
    FULL_VERB_AUXILIARIES,
    FUNCTION_WORDS,
    IRREGULAR_PLURALS,
    NAME_CONNECTORS,
    NAME_MODALS,
    ORDERS,
    PARTICLES,
    PHRASE_VERBS,
    PLAIN_ADJECTIVES,
    POSSESSIVES,
    PREDICATE_ADJECTIVES,
    QUESTION_WORDS,
    SUBJECT_PRONOUNS,
    TITLES,
)
from server.tuning.ports import ConceptEntry, GraphStore

MAX_SPAN_WORDS = 8
"""A longer run of words is not looked up; the longest heads that people ask for have six."""
_MAX_QUERY_WORDS = 200
_ALTERNATIVES = 5

# Vowel signs and accents that are characters of their own belong to the word; \w knows letters and
# digits alone.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u109f"
_LETTER = rf"(?:[^\W_]|[{_MARKS}])"
_WORD = re.compile(
    rf"(?:{_LETTER}\.){{2,}}|{_LETTER}+(?:[-'’.&/#]{_LETTER}+)*(?:[#+]+|(?<=s)['’](?=\s))?",
    re.UNICODE,
)
_OWNED = re.compile(r"['’]s$|(?<=s)['’]$")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the query, a possessive 's cut off, and where it stands."""

    text: str
    key: str
    start: int
    end: int
    owns: bool
    """Whether 's follows."""
    sentence: int = 0
    """Which sentence of the query it stands in."""
    breaks: bool = False
    """Whether something stands before it that no concept's text goes across: a comma, a sentence's
    end."""

    @property
    def is_function(self) -> bool:
        return self.key in FUNCTION_WORDS

    @property
    def asks(self) -> bool:
        """Whether the word belongs to the question rather than to what it is about."""
        return self.key in ASKING_VERBS or self.key in FRAME_NOUNS

    @property
    def is_capitalized(self) -> bool:
        """Whether it is written as names are ("Anna", "al-Zubayr")."""
        return self.text[:1].isupper() or any(
            part[:1].isupper() for part in self.text.split("-")[1:]
        )


@dataclass(frozen=True, slots=True)
class Span:
    """A run of words, `first` to `last` (inclusive), how it reads, and the keys by which concepts
    are looked up for it."""

    first: int
    last: int
    text: str
    key: str = field(init=False)
    singulars: tuple[str, ...] = field(init=False)
    """What it may be the plural of."""
    verbs: tuple[str, ...] = field(init=False)
    """What it may be the -ing form of."""

    def __post_init__(self) -> None:
        key = concept_key(self.text)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "singulars", tuple(_singulars_of(key)))
        object.__setattr__(self, "verbs", tuple(_verbs_of(key)))

    @property
    def words(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Match:
    """A concept that the query may be about."""

    concept: Concept
    personal: bool
    """Whether only this user has it."""


@dataclass(frozen=True, slots=True)
class SubjectChoice:
    """The concept taken, and the others in the order of preference."""

    match: Match
    alternatives: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    span: Span
    entry: ConceptEntry
    proper: bool = False
    owned: bool = False

    def rank(self, words: Sequence[Word], asking: Container[int]) -> tuple[int, ...]:
        """The rules of this module, in order; the larger is preferred."""
        framed = not self.proper and not self.owned and _is_framed(words, self.span)
        sentence = words[self.span.first].sentence
        return (
            self.entry.personal_triples > 0 and not framed,
            not framed,
            sentence in asking,
            sentence,
            self.proper,
            self.owned,
            self.span.words,
            _stands_as_subject(words, self.span),
            self.entry.retrievable_triples,
            self.span.last,
        )


async def find_subject(
    store: GraphStore, user: str, query: str, at_revision: int | None = None
) -> SubjectChoice:
    """The concept that `query` is about, for this user. Raises SubjectNotFound for a query without
    a content word."""
    words = query_words(query)
    if not words:
        raise SubjectNotFound
    asking = _asking_sentences(words, query)
    proper, owned, plain = (
        [span for span in spans if is_concept_name(span.text)]
        for spans in (proper_name_spans(words, query), owned_spans(words), candidate_spans(words))
    )
    entries = await _looked_up(store, user, [*plain, *proper, *owned], at_revision)
    candidates = [
        *(
            _Candidate(span, entry)
            for span in plain
            if (entry := _best_known(span, entries, verb=not _is_determined(words, span)))
            is not None
        ),
        *(
            _Candidate(span, _named(span, entries), proper=True)
            for span in proper
            if _is_name(span, words, query, entries) and not _begins_longer(span, plain, entries)
        ),
        *(_owned_candidate(span, plain, entries) for span in owned),
    ]
    if not any(c.proper or c.owned or not _is_framed(words, c.span) for c in candidates):
        if (run := _content_run(words)) is not None:
            entry = entries.get(run.key) or _unknown(run)
            chosen = Match(entry.concept, not entry.in_base)
            others = [m for m in _matches(candidates, words, asking) if m != chosen]
            return SubjectChoice(chosen, tuple(others[:_ALTERNATIVES]))
        if not candidates:
            return SubjectChoice(Match(_last_resort(words), personal=True), ())
    matches = _matches(candidates, words, asking)
    return SubjectChoice(matches[0], matches[1 : 1 + _ALTERNATIVES])


def _matches(
    candidates: Sequence[_Candidate], words: Sequence[Word], asking: Container[int]
) -> tuple[Match, ...]:
    ranked = sorted(candidates, key=lambda c: c.rank(words, asking), reverse=True)
    return tuple(dict.fromkeys(Match(c.entry.concept, not c.entry.in_base) for c in ranked))


def _owned_candidate(
    span: Span, plain: Iterable[Span], entries: Mapping[str, ConceptEntry]
) -> _Candidate:
    """What somebody's own is, as far as a concept reaches that starts with it ("my point of view")."""
    longer = [s for s in plain if s.first == span.first and s.last > span.last and s.key in entries]
    span = max(longer, key=lambda s: s.last, default=span)
    return _Candidate(span, _best_known(span, entries) or _unknown(span), owned=True)


# Words and spans


def query_words(query: str) -> list[Word]:
    """The words of a query."""
    words: list[Word] = []
    for found in list(_WORD.finditer(query))[:_MAX_QUERY_WORDS]:
        whole = found.group()
        between = query[words[-1].end : found.start()] if words else ""
        key = concept_key(whole.replace("’", "'"))
        owns = bool(_OWNED.search(whole)) and key not in FUNCTION_WORDS
        text = _OWNED.sub("", whole) if owns else whole
        ends = bool(words) and _ends_sentence(words[-1], between, whole)
        words.append(
            Word(
                text,
                concept_key(text) if owns else key,
                found.start(),
                found.start() + len(text),
                owns,
                sentence=words[-1].sentence + ends if words else 0,
                breaks=ends or any(c in ",;:" for c in between),
            )
        )
    return words


def _ends_sentence(word: Word, between: str, following: str) -> bool:
    """Whether a sentence ends between a word and the next; "Dr. No" is one, "Star Trek: Voyager"
    too."""
    if any(c in "!?\n" for c in between):
        return True
    if ":" in between:
        return not (
            word.is_capitalized
            and following[:1].isupper()
            and concept_key(following) not in FUNCTION_WORDS
        )
    if following[:1].isupper() and concept_key(following) in ARTICLES | QUESTION_WORDS:
        return "." in between or word.text.endswith(".")
    return "." in between and len(word.key) > 1 and word.key not in ABBREVIATIONS


def _asking_sentences(words: Sequence[Word], query: str) -> frozenset[int]:
    """The sentences that end with a question mark."""
    ends = [*(w.start for w in words[1:]), len(query)]
    return frozenset(
        w.sentence for w, end in zip(words, ends, strict=True) if "?" in query[w.end : end]
    )


def candidate_spans(words: Sequence[Word]) -> list[Span]:
    """The runs of up to MAX_SPAN_WORDS words that neither start nor end with a function word.

    A verb phrase may start with one ("have breakfast") and may end with a particle ("wake up").
    """
    spans: list[Span] = []
    for first, word in enumerate(words):
        if word.is_function and word.key not in PHRASE_VERBS:
            continue
        for last in range(first, min(first + MAX_SPAN_WORDS, len(words))):
            if last > first and words[last].breaks:
                break
            ends_in_particle = (
                words[last].key in PARTICLES and last > first and not words[last - 1].is_function
            )
            if not words[last].is_function or ends_in_particle:
                spans.append(Span(first, last, _text(words, first, last)))
    return spans


def owned_spans(words: Sequence[Word]) -> list[Span]:
    """What somebody's own is: the noun phrase after "my", "our", ...

    Of "my piano teacher's birthday" it is the teacher, of "my sister's car" the sister's car.
    """
    spans = []
    for at, word in enumerate(words[:-1]):
        if word.key in POSSESSIVES and (span := _noun_phrase(words, at)) is not None:
            spans.append(span)
    return spans


def _noun_phrase(words: Sequence[Word], possessive: int) -> Span | None:
    first = possessive + 1
    while (
        first + 1 < len(words)
        and words[first].key in PLAIN_ADJECTIVES
        and not words[first + 1].is_function
    ):
        first += 1
    if words[first].breaks or (
        words[first].is_function and words[first].key not in PLAIN_ADJECTIVES
    ):
        return None
    last = first
    while last + 1 < len(words) and _goes_on(words[last + 1]) and last - first + 1 < MAX_SPAN_WORDS:
        last += 1
    if last > first and not words[last - 1].owns and _ends_in_predicate(words, possessive, last):
        last -= 1
    owner = next((n for n in range(first, last) if words[n].owns), None)
    if owner is not None and words[owner + 1].key in FRAME_NOUNS:
        last = owner
    return Span(first, last, _text(words, first, last))


def _goes_on(word: Word) -> bool:
    """Whether a noun phrase goes on with a word."""
    return not (word.breaks or word.is_function or word.key in ASKING_VERBS | PREDICATE_ADJECTIVES)


def _ends_in_predicate(words: Sequence[Word], possessive: int, last: int) -> bool:
    """Whether the last word of what follows a possessive is no noun: "does my brother move", "is my
    cat scared of"."""
    asked_with = words[possessive - 1].key if possessive else ""
    following = [word.key for word in words[last + 1 :] if word.key not in ADVERBS]
    if asked_with in FULL_VERB_AUXILIARIES:
        return not (following and following[0] in ASKING_VERBS | FORMS_OF_BE | {"have", "do"})
    if asked_with in FORMS_OF_BE:
        dangling = len(following) == 1 and following[0] in FUNCTION_WORDS
        asked_for_noun = (
            possessive > 1 and not words[possessive - 2].is_function
        )  # "what instrument is my ..."
        ending = words[last].key[-3:]
        return dangling or ending.endswith("ed") or (ending == "ing" and asked_for_noun)
    return False


def proper_name_spans(words: Sequence[Word], query: str) -> list[Span]:
    """The longest runs of capitalised words, joined by the small words that names hold ("Edwin of
    Northumbria").

    None in a query without small letters.
    """
    if not any(c.islower() for c in query):
        return []
    spans = []
    at = 0
    while at < len(words):
        if not _may_start_name(words, at, query):
            at += 1
            continue
        last = _name_end(words, at, query)
        end = _with_bracket(query, words[last].end)
        spans.append(Span(at, last, query[words[at].start : end]))
        at = last + 1
    return spans


def _may_start_name(words: Sequence[Word], at: int, query: str) -> bool:
    word, starts_sentence = words[at], _starts_sentence(words, at)
    goes_on = (
        at + 1 < len(words) and words[at + 1].is_capitalized and _adjacent(words, at + 1, query)
    )
    if word.text[:1].isdigit():
        return goes_on and not words[at + 1].is_function
    if not word.is_capitalized:
        return False
    if word.is_function:
        return goes_on and not starts_sentence and word.key not in ARTICLES and len(word.key) > 1
    return not (starts_sentence and (word.key in ORDERS or (word.asks and not goes_on)))


def _name_end(words: Sequence[Word], first: int, query: str) -> int:
    last = first
    at = first + 1
    while at < len(words) and not words[last].owns and _adjacent(words, at, query):
        word = words[at]
        goes_on = at + 1 < len(words) and words[at + 1].is_capitalized
        named = word.is_capitalized or word.text[:1].isdigit()
        if named and (not word.is_function or word.key in NAME_CONNECTORS | NAME_MODALS or goes_on):
            last = at
        elif word.key not in NAME_CONNECTORS or at - last > 2:
            break
        at += 1
    return last


def _adjacent(words: Sequence[Word], at: int, query: str) -> bool:
    """Whether only what names hold stands between a word and the one before it ("Sir Thomas Buxton,
    1st Baronet")."""
    if _starts_sentence(words, at):
        return False
    between = query[words[at - 1].end : words[at].start]
    if between.strip() == ",":
        return words[at].text[:1].isdigit() or words[at].key in TITLES
    return between.strip(" .:&‘’'“”\"-") == ""


def _with_bracket(query: str, end: int) -> int:
    """Where a name ends that goes on in brackets ("Chevrolet Camaro (first generation)")."""
    found = re.match(r"\s*\([^()]{1,40}\)", query[end:])
    return end + found.end() if found else end


def _is_name(
    span: Span, words: Sequence[Word], query: str, entries: Mapping[str, ConceptEntry]
) -> bool:
    """Whether a capitalised run is a name.

    One word at the start of a sentence is, unless it is a concept of the base, the plural of one
    ("Dogs are", but not "Mars is"), or an order ("Pinpoint the ...").
    """
    if span.words > 1 or not _starts_sentence(words, span.first):
        return True
    following = words[span.last + 1].key if span.last + 1 < len(words) else ""
    may_be_plural = (
        following not in ("is", "was", "has", "does")
        and query[words[span.last].end : words[span.last].end + 1] != ","
    )
    known = [span.key, *span.verbs, *(span.singulars if may_be_plural else ())]
    if any(entries[k].in_base for k in known if k in entries):
        return False
    no_name_before = ARTICLES | POSSESSIVES | QUESTION_WORDS | {"me", "us", "some", "to", ""}
    return words[span.last].owns or following not in no_name_before


def _begins_longer(span: Span, plain: Iterable[Span], entries: Mapping[str, ConceptEntry]) -> bool:
    """Whether a capitalised word is only the start of a concept ("Eating lunch requires")."""
    return span.words == 1 and any(
        s.first == span.first
        and s.last > span.last
        and _best_known(s, entries, verb=True) is not None
        for s in plain
    )


def _starts_sentence(words: Sequence[Word], at: int) -> bool:
    return at == 0 or words[at].sentence != words[at - 1].sentence


def _text(words: Sequence[Word], first: int, last: int) -> str:
    return " ".join(
        w.text + (("'" if w.key.endswith("s") else "'s") if w.owns and n < last else "")
        for n, w in enumerate(words[first : last + 1], first)
    )


# What a span's place says


def _is_determined(words: Sequence[Word], span: Span) -> bool:
    """Whether an article or possessive stands before the span: it is a noun then ("the wedding")."""
    return span.first > 0 and words[span.first - 1].key in ARTICLES | POSSESSIVES


def _is_framed(words: Sequence[Word], span: Span) -> bool:
    """Whether the span is part of the question: asking words only, what follows "which", or what
    "of" follows."""
    if all(word.asks or word.is_function for word in words[span.first : span.last + 1]):
        return True
    before = words[span.first - 1].key if span.first else ""
    after = words[span.last + 1].key if span.last + 1 < len(words) else ""
    is_asked_for = after in FORMS_OF_BE and span.last + 2 == len(words)  # "explain what love is"
    return (before in ("which", "what", "whose") and not is_asked_for) or after == "of"


def _stands_as_subject(words: Sequence[Word], span: Span) -> int:
    """1 where a question's auxiliary stands before the span, or a statement starts with it;
    articles may come between.

    -1 where a pronoun stands before it: a verb then ("what do you file ... under").
    """
    at = span.first - 1
    if at >= 0 and words[at].key in SUBJECT_PRONOUNS:
        return -1
    if at >= 0 and words[at].key in ARTICLES:
        at -= 1
    if at < 0:
        return int(words[0].key not in ORDERS)
    return int(words[at].key in AUXILIARIES and _is_question(words))


def _is_question(words: Sequence[Word]) -> bool:
    """Whether a question word or an auxiliary comes first, or second after a preposition ("in
    which")."""
    if words[0].key in QUESTION_WORDS or words[0].key in AUXILIARIES:
        return True
    return len(words) > 1 and words[0].is_function and words[1].key in QUESTION_WORDS


# What the store knows


def _singulars_of(key: str) -> list[str]:
    """What the last word of a key may be the plural of; FormOf in the graph says more."""
    *before, last = key.split(" ")
    forms = [" ".join([*before, IRREGULAR_PLURALS[last]])] if last in IRREGULAR_PLURALS else []
    if key.endswith("ves") and len(key) > 4:
        forms += [key[:-3] + "f", key[:-3] + "fe"]
    if key.endswith("ies") and len(key) > 4:
        forms.append(key[:-3] + "y")
    if key.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        forms.append(key[:-2])
    if key.endswith("s") and not key.endswith("ss") and len(key) > 3:
        forms.append(key[:-1])
    return forms


def _verbs_of(key: str) -> list[str]:
    """What the first word of a key may be the -ing form of ("playing chess" -> "play chess")."""
    verb, _, rest = key.partition(" ")
    if not verb.endswith("ing") or len(verb) < 6:
        return []
    stem = verb[:-3]
    bases = [stem, stem + "e", *([stem[:-1]] if stem[-1] == stem[-2] else [])]
    return [f"{base} {rest}".strip() for base in bases]


async def _looked_up(
    store: GraphStore, user: str, spans: Iterable[Span], at_revision: int | None
) -> dict[str, ConceptEntry]:
    """The entries of all spans, of what they may be inflected from, and of what the graph says they
    are forms of."""
    keys = dict.fromkeys(key for span in spans for key in (span.key, *span.singulars, *span.verbs))
    if not keys:
        return {}
    entries = dict(await store.look_up(user, list(keys), at_revision))
    forms = {form for entry in entries.values() for form in entry.forms_of} - entries.keys()
    if forms:
        entries |= await store.look_up(user, sorted(forms), at_revision)
    return entries


def _best_known(
    span: Span, entries: Mapping[str, ConceptEntry], *, verb: bool = False
) -> ConceptEntry | None:
    """Of the concepts that a span names or is a form of, the one that this user, else the base,
    says most about.

    With `verb` also what it is the -ing form of, where the span itself is no concept.
    """

    def said(entry: ConceptEntry) -> tuple[int, int]:
        return entry.personal_triples, entry.retrievable_triples

    keys = [span.key, *span.singulars]
    if verb and span.key not in entries:
        keys += span.verbs
    return max(_named_by(keys, entries), key=said, default=None)


def _named_by(keys: Iterable[str], entries: Mapping[str, ConceptEntry]) -> Iterator[ConceptEntry]:
    for key in keys:
        if (entry := entries.get(key)) is not None:
            yield entry
            yield from (entries[form] for form in entry.forms_of if form in entries)


def _named(span: Span, entries: Mapping[str, ConceptEntry]) -> ConceptEntry:
    """A name's own entry: names are not inflected."""
    return entries.get(span.key) or _unknown(span)


def _unknown(span: Span) -> ConceptEntry:
    return ConceptEntry(
        Concept.of(span.text), in_base=False, retrievable_triples=0, personal_triples=0
    )


# Where nothing is known


def _content_run(words: Sequence[Word]) -> Span | None:
    """The rightmost run of content words that are not the question's own, as long as a concept's
    text may be."""
    last = next((n for n in reversed(range(len(words))) if _is_content(words[n])), None)
    if last is None:
        return None
    first = last
    while (
        first > 0
        and _is_content(words[first - 1])
        and not words[first].breaks
        and last - first + 1 < MAX_SPAN_WORDS
    ):
        if not is_concept_name(_text(words, first - 1, last)):
            break
        first -= 1
    return Span(first, last, _text(words, first, last))


def _is_content(word: Word) -> bool:
    return not word.is_function and not word.asks and is_concept_name(word.text)


def _last_resort(words: Sequence[Word]) -> Concept:
    """The rightmost word that is at least no function word. Raises SubjectNotFound."""
    for word in reversed(words):
        if not word.is_function and is_concept_name(word.text):
            return Concept.of(word.text)
    raise SubjectNotFound
