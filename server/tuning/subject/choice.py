"""Which concept a query is about (e_q), when the caller does not say.

The paper assumes that queries are labelled. Here the words of a query are cut into spans, and the
store is asked which of them are concepts, of the base or of this user: one index look-up for each
span. The candidates are ranked by these rules; the first rule on which two of them differ decides.

1. concepts at which this user has personal triples
2. more than a word of the question itself ("which colour", "the purpose of", "like")
3. part of a sentence that asks, and of the last sentence among several
4. proper names ("Danielle Darrieux")
5. what somebody owns ("my garden shed"), known or not: "my" says what the talk is about
6. the longest run of words that is a concept (plurals and inflected forms by FormOf)
7. where a question's subject stands ("does a dog"), before where its verb stands
8. more retrievable triples
9. further to the right

With no candidate, the subject is the rightmost run of content words, as a personal concept, else
the user. A fact about the user as such ("What do I do for work?") is filed at the user. A text
that no concept may have (an address of 600 characters, a sentence in a script without blanks) is
not a candidate.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from server.graph.checks import is_concept_name
from server.graph.concept import ARTICLES, Concept
from server.graph.invisible import visible
from server.tuning.ports import ConceptEntry, GraphStore
from server.tuning.subject.english import (
    AUXILIARIES,
    FIRST_PERSON,
    FORMS_OF_BE,
    ORDERS,
    POSSESSIVES,
    QUESTION_WORDS,
    SUBJECT_PRONOUNS,
    USERS_OWN,
)
from server.tuning.subject.known import Entries, best_known, looked_up, named, unknown
from server.tuning.subject.names import begins_longer, is_name, proper_name_spans
from server.tuning.subject.spans import Span, candidate_spans, content_run, in_full, owned_spans
from server.tuning.subject.words import Word, asking_sentences, query_words

USER_CONCEPT = Concept.of("I")
"""The user, as a concept of the user's own overlay. It has no facts in any base."""
_ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Match:
    """A concept that the query may be about."""

    concept: Concept
    personal: bool
    """Whether only this user has it."""
    owned: bool = field(default=False, compare=False)
    """Whether the query says that it is the user's own: "my dog"."""


USER = Match(USER_CONCEPT, personal=True)


@dataclass(frozen=True, slots=True)
class SubjectChoice:
    """The concept that was chosen, and the others in order of preference."""

    match: Match
    alternatives: tuple[Match, ...]
    filed_at: Match | None
    """Where a new fact would start: at `match`, or at the user where the query is about the user.

    None for a query without any content.
    """

    @property
    def named(self) -> frozenset[str]:
        """The keys of the concepts that the query may be about."""
        matches = (self.match, *self.alternatives, *([self.filed_at] if self.filed_at else []))
        return frozenset(match.concept.key for match in matches)


async def find_subject(
    store: GraphStore, user: str, query: str, at_revision: int | None = None
) -> SubjectChoice:
    """The concept that `query` is about, for this user. The user, where nothing else is named."""
    query = visible(query)
    words = query_words(query)
    asking = asking_sentences(words, query)
    plain = _nameable(candidate_spans(words))
    proper = _nameable(proper_name_spans(words, query))
    owned = _nameable(owned_spans(words))
    whole = {span: in_full(span, words) for span in (*plain, *proper, *owned)}
    entries = await looked_up(
        store, user, [*whole, *(full for full in whole.values() if full)], at_revision
    )
    plain, proper, owned = (_as_known(s, whole, entries) for s in (plain, proper, owned))
    candidates = [
        *_plain_candidates(plain, words, entries),
        *(
            _Candidate(span, named(span, entries), proper=True)
            for span in proper
            if is_name(span, words, query, entries) and not begins_longer(span, plain, entries)
        ),
        *(_owned_candidate(span, plain, entries) for span in owned),
    ]
    ranked = sorted(candidates, key=lambda c: c.rank(words, asking), reverse=True)
    matches = tuple(dict.fromkeys(_match(c.entry, words, c.span) for c in ranked))
    about_user = any(_is_user(words, at) for at in range(len(words)))
    if all(c.is_framed(words) for c in candidates):
        if (run := content_run(words)) is not None:
            chosen = _match(entries.get(run.key) or unknown(run), words, run)
            others = tuple(m for m in matches if m != chosen)
            filed_at = USER if about_user and not chosen.owned else chosen
            return SubjectChoice(chosen, others[:_ALTERNATIVES], filed_at)
        if not candidates:
            return _without_candidates(words, about_user)
    best = ranked[0]
    names_another = best.proper or best.owned or best.entry.personal_triples > 0
    filed_at = USER if about_user and not names_another else matches[0]
    return SubjectChoice(matches[0], matches[1 : 1 + _ALTERNATIVES], filed_at)


def _without_candidates(words: Sequence[Word], about_user: bool) -> SubjectChoice:
    """The user, or the rightmost word that is not a function word, or nothing."""
    for word in reversed(words):
        if not about_user and not word.is_function and is_concept_name(word.text):
            last = Match(Concept.of(word.text), personal=True)
            return SubjectChoice(last, (), last)
    return SubjectChoice(USER, (), USER if about_user else None)


# Candidates


@dataclass(frozen=True, slots=True)
class _Candidate:
    span: Span
    entry: ConceptEntry
    proper: bool = False
    owned: bool = False

    def is_framed(self, words: Sequence[Word]) -> bool:
        """Whether it is only part of the question. Names and what somebody owns never are."""
        return not self.proper and not self.owned and _is_framed(words, self.span)

    def rank(self, words: Sequence[Word], asking: Container[int]) -> tuple[int, ...]:
        """The rules of this module, in order; the larger is preferred."""
        framed = self.is_framed(words)
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


def _nameable(spans: Iterable[Span]) -> list[Span]:
    """The spans whose text a concept may have."""
    return [span for span in spans if is_concept_name(span.text)]


def _as_known(
    spans: Iterable[Span], whole: Mapping[Span, Span | None], entries: Entries
) -> list[Span]:
    """The spans, with the 's that belongs to a known name: "McDonald's"."""
    return [
        full if (full := whole[span]) is not None and full.key in entries else span
        for span in spans
    ]


def _plain_candidates(
    spans: Iterable[Span], words: Sequence[Word], entries: Entries
) -> Iterator[_Candidate]:
    for span in spans:
        entry = best_known(span, entries, verb=not _is_determined(words, span))
        if entry is not None:
            yield _Candidate(span, entry)


def _owned_candidate(span: Span, plain: Iterable[Span], entries: Entries) -> _Candidate:
    """What somebody owns, as far as a concept reaches that starts there ("my point of view")."""
    longer = [s for s in plain if s.first == span.first and s.last > span.last and s.key in entries]
    span = max(longer, key=lambda s: s.last, default=span)
    return _Candidate(span, best_known(span, entries) or unknown(span), owned=True)


def _match(entry: ConceptEntry, words: Sequence[Word], span: Span) -> Match:
    return Match(entry.concept, personal=not entry.in_base, owned=_is_users(words, span))


# What a span's place says


def _is_user(words: Sequence[Word], at: int) -> bool:
    """Whether the word stands for the user. In "tell me" and "remind us" it only asks."""
    word, before = words[at].key, words[at - 1].key if at else ""
    return word in FIRST_PERSON and not (word in ("me", "us") and before in ORDERS)


def _is_users(words: Sequence[Word], span: Span) -> bool:
    """Whether "my" or "our" stands before the span, with a few adjectives between at most."""
    before = [word.key for word in words[max(0, span.first - 3) : span.first]]
    return any(key in USERS_OWN for key in before) and before[-1:] != ["of"]


def _is_determined(words: Sequence[Word], span: Span) -> bool:
    """Whether an article or possessive stands before the span: "the wedding" is a noun."""
    return span.first > 0 and words[span.first - 1].key in ARTICLES | POSSESSIVES


def _is_framed(words: Sequence[Word], span: Span) -> bool:
    """Whether the span is part of the question.

    It is if it has only asking words, or stands after "which" or before "of".
    """
    if all(word.asks or word.is_function for word in words[span.first : span.last + 1]):
        return True
    before = words[span.first - 1].key if span.first else ""
    after = words[span.last + 1].key if span.last + 1 < len(words) else ""
    is_asked_for = after in FORMS_OF_BE and span.last + 2 == len(words)  # "explain what love is"
    return (before in ("which", "what", "whose") and not is_asked_for) or after == "of"


def _stands_as_subject(words: Sequence[Word], span: Span) -> int:
    """1 if the span stands where a subject does, -1 if it stands where a verb does, else 0.

    A subject comes first in a statement, and after the auxiliary in a question; an article may
    come before it. A verb follows a pronoun ("what do you file ... under").
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
    """Whether the words begin as a question does ("what", "does", "in which")."""
    if words[0].key in QUESTION_WORDS or words[0].key in AUXILIARIES:
        return True
    return len(words) > 1 and words[0].is_function and words[1].key in QUESTION_WORDS
