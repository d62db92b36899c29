"""Which facts a query is about: the base's around its subject, and the user's own from anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.graph.concept import Concept, words_in
from server.graph.neighborhood import Neighborhood, RelationSlice, ViewedTriple
from server.graph.relation import Vocabulary
from server.graph.triple import Origin, Stamp, Triple, oriented
from server.tuning.facts import RetrievalRules, facts_for_answer, retrievable_view
from server.tuning.likely import content_words
from server.tuning.objective import Probabilities
from server.tuning.others import AskedOf
from server.tuning.ports import GraphStore, Key, LanguageModel
from server.tuning.question import question_of
from server.tuning.recall import Fact, Recalled, UserFacts
from server.tuning.recalls import Recalls
from server.tuning.scoring import Scorer
from server.tuning.subject.choice import USER_CONCEPT, SubjectChoice
from server.tuning.subject.english import FUNCTION_WORDS
from server.tuning.watching import call_watch

MOST_RECALLED = 24
_LEAST_NAMED, _MOST_NAMED = 3, 0.75
"""A tail of at least so many words is named by a query with this share of them."""
_LEAST_RESTATED, _MOST_RESTATED = 3, 0.8
"""A fact is restated by a query that shares so many words, and this share of its own, with it. The
words of its head's name do not count: a query about another relation has them, too."""
_STEM = 5
"""Two words that begin with the same so many letters may be forms of one."""
MOST_CONFIRMED = 3
"""Facts that are near a query, but not surely what it asks, and that the model is asked about."""
MOST_FORESEEN = 6
"""Facts that it is asked about, at most, before it is known which are near the query."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the store has for a query: the triples that start at its subject, and all personal ones.

    In literal mode, `view` has the subject's personal triples too.
    """

    view: Neighborhood
    personal: UserFacts
    choice: SubjectChoice
    literal: bool


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A view, what the model says about its triples, and the facts that follow."""

    view: Neighborhood
    probabilities: Probabilities
    facts: tuple[ViewedTriple, ...]
    key: Key | None
    """The query's key; None where it was not needed."""
    surely: frozenset[Triple] = frozenset()
    """The personal facts that the query surely asks for, and those told as triples."""
    personal: Mapping[Triple, Fact] = field(default_factory=dict)
    """The personal facts that the query is about, by their triple as read from its subject."""


class Retriever:
    """Retrieves facts from users' views. `floor` is the model's own unless one is given."""

    def __init__(
        self,
        store: GraphStore,
        model: LanguageModel,
        vocabulary: Vocabulary,
        rules: RetrievalRules,
    ) -> None:
        self._store = store
        self._model = model
        self._vocabulary = vocabulary
        self._rules = rules
        self.recalls = Recalls(store, vocabulary)

    @property
    def floor(self) -> float:
        """The inner product of keys from which on a query is about a personal fact."""
        return self._rules.floor or self._model.floor

    async def look(
        self,
        user: str,
        choice: SubjectChoice,
        limit: int,
        at_revision: int | None = None,
        asked_for: Collection[str] = (),
        *,
        literal: bool = False,
    ) -> Looked:
        """Read the store. `asked_for`: relations that count as facts in any case."""
        fingerprint = self._model.key_fingerprint
        personal = await self.recalls.of(user, fingerprint, at_revision)
        subject = choice.match.concept
        whole = await self._store.neighborhood(user, subject, limit, at_revision)
        if at_revision is None and whole.revision != personal.at.revision:
            personal = await self.recalls.of(user, fingerprint, None)  # written meanwhile
        call_watch.get().recalled(len(personal))
        view = retrievable_view(whole, self._vocabulary, asked_for)
        if subject == USER_CONCEPT:
            view = replace(view, slices=tuple(map(_without_base, view.slices)))
        if not literal:
            view = replace(view, slices=tuple(map(_without_personal, view.slices)))
        slices = tuple(part for part in view.slices if part.count)
        return Looked(replace(view, slices=slices), personal, choice, literal)

    async def recall(
        self, scorer: Scorer, looked: Looked, *, fully: bool = False, at_once: bool = False
    ) -> Retrieval:
        """Weigh what was read. Which facts are near, one question tells; about some, a second one.

        p(r) of an only relation is not asked for, and neither is the query's key where the user has
        no facts; both are with `fully`. With `at_once` the first question also has what the second
        would ask of the facts that are likely to be near, and then there seldom is a second.
        """
        names = [part.relation for part in looked.view.slices]
        asked = names if fully or len(names) > 1 else []
        named = looked.choice.named | looked.personal.named_in(scorer.query)
        texts = looked.personal.to_read(named)
        key, relations = None, dict.fromkeys(names, 1.0)
        own = [question_of(scorer.query)] if fully or len(looked.personal) else []
        if asked or own:
            likely = self._likely(scorer.query, looked, named) if at_once else {}
            ahead = replace(scorer, owned={z for z, fact in likely.items() if fact.owned})
            tails = {z: [z.tail.text] for z in likely}
            keys, found = await ahead.keys([*texts, *own], asked, tails)
            relations |= found.relations
            key = keys[-1] if own else None
            looked.personal.learn(dict(zip(texts, keys, strict=False)))
        near = self._near(scorer.query, looked, key, named)
        scorer.owned.update(z for z, recalled in near.items() if recalled.fact.owned)
        weights = await self._weighed(scorer, near)
        view = self._with_personal(looked, [(z, near[z].fact.stamp) for z in weights])
        if looked.literal:
            weights = {z: k for z, k in weights.items() if view.find(z) is not None}
        probabilities = Probabilities(relations, scopes=weights, literal=looked.literal)
        surely = frozenset(z for z in weights if self._is_sure(near[z]))
        facts = self.facts(view, probabilities)
        personal = {z: near[z].fact for z in weights}
        return Retrieval(view, probabilities, facts, key, surely, personal)

    def _is_sure(self, recalled: Recalled) -> bool:
        return recalled.product >= self._model.sure or bool(recalled.fact.names)

    def facts(self, view: Neighborhood, probabilities: Probabilities) -> tuple[ViewedTriple, ...]:
        """The facts that an answer in `view` rests on."""
        return facts_for_answer(view, probabilities, self._rules)

    def _likely(self, query: str, looked: Looked, named: Collection[str]) -> dict[Triple, Fact]:
        """The personal facts that the model is asked about before the query's key is known.

        By their triple as it is read from the query's subject.
        """
        subject, asked, asked_of = looked.view.head, words_of(query), AskedOf(query)
        likely = looked.personal.likely(
            question_of(query), named, few=MOST_CONFIRMED, most=MOST_FORESEEN
        )
        return {
            oriented(fact.triple, subject, self._vocabulary): fact
            for fact in likely
            if (fact.owned or not is_of_another(fact.triple.head, asked))
            and not asked_of.is_another_than(fact)
        }

    def _near(
        self, query: str, looked: Looked, key: Key | None, named: Collection[str]
    ) -> dict[Triple, Recalled]:
        """The personal facts near the query, by their triple as it is read from its subject.

        A fact about a name that the query does not mention has to be surely what it asks, unless
        it is about what is the user's own ("my flight to Oslo"). What says it in the query's own
        words surely is. A fact about the user's own is not asked for as somebody else's.
        """
        if key is None:
            return {}
        subject, sure = looked.view.head, self._model.sure
        asked, asked_of = words_of(query), AskedOf(query)
        found = {r.fact: r for r in looked.personal.about(key, self.floor, named, MOST_RECALLED)}
        for fact in self._restated(query, looked, named):
            product = max(sure, found[fact].product if fact in found else sure)
            found[fact] = Recalled(fact, product)
        return {
            oriented(r.fact.triple, subject, self._vocabulary): r
            for r in sorted(found.values(), key=lambda r: r.rank, reverse=True)
            if (
                r.product >= sure
                or r.fact.owned
                or names_tail(r.fact.triple, asked)
                or not is_of_another(r.fact.triple.head, asked)
            )
            and not asked_of.is_another_than(r.fact)
        }

    def _restated(self, query: str, looked: Looked, named: Collection[str]) -> list[Fact]:
        """The facts about others that were told in the query's own words."""
        telling = set(content_words(query))
        if len(telling) < _LEAST_RESTATED:
            return []
        likely = looked.personal.likely(question_of(query), named, few=0, most=MOST_RECALLED)
        return [fact for fact in likely if is_restated(fact, telling)]

    async def _weighed(
        self,
        scorer: Scorer,
        near: Mapping[Triple, Recalled],
    ) -> dict[Triple, float]:
        """k(q,z) of those of `near` that the query is about.

        What is surely asked needs no other evidence. Of the rest the nearest are weighed by whether
        the model would answer with them, and are kept if they reach 1. So are the other values of
        what is kept, which weigh no more than it. A query that names a fact's tail asks for its
        other end, so the model is not asked whether it would answer with the tail.
        """
        named = words_of(scorer.query)
        unsure = [
            z
            for z, recalled in near.items()
            if recalled.product < self._model.sure and not names_tail(z, named)
        ]
        asked, unasked = unsure[:MOST_CONFIRMED], set(unsure[MOST_CONFIRMED:])
        said = await scorer.reasoning({z: [z.tail.text] for z in asked}) if asked else {}
        weights = {
            z: recalled.weight(self.floor, said.get((z, z.tail.text)))
            for z, recalled in near.items()
        }
        kept = {z: k for z, k in weights.items() if k >= 1}
        least: dict[tuple[Concept, str], float] = {}
        for z, k in kept.items():
            if z not in unasked:
                least[z.slot] = min(k, least.get(z.slot, k))
        return {
            z: min(k, least[z.slot]) if z in unasked else k
            for z, k in kept.items()
            if z.slot in least
        }

    def _with_personal(self, looked: Looked, about: Sequence[tuple[Triple, Stamp]]) -> Neighborhood:
        """The view with the personal facts that the query is about."""
        view = looked.view
        if not looked.literal:
            for z, stamp in about:
                view = view.with_added(z, stamp)
        return view


def words_of(query: str) -> frozenset[str]:
    """The words of a query, as keys have them."""
    return frozenset(words_in(query))


def is_of_another(head: Concept, asked: Collection[str]) -> bool:
    """Whether a fact's head is a name of which less than half is among the words `asked`."""
    if head == USER_CONCEPT or not any(word[:1].isupper() for word in head.text.split()):
        return False
    name = words_in(head.key)
    return 2 * sum(word in asked for word in name) < len(name)


def is_restated(fact: Fact, telling: Collection[str]) -> bool:
    """Whether a fact about somebody was told in the words that a query has.

    `telling` are the query's words that tell what it is about. Beside the name it has at least a
    few of them, and hardly any that the fact lacks, in whatever form: "Who once invited Ida to talk
    about bees?"
    """
    if fact.triple.head == USER_CONCEPT:
        return False
    name = words_in(fact.triple.head.text)
    said = words_in(f"{fact.text} {fact.triple.tail.text}")
    asked = [word for word in telling if not _is_among(word, name)]
    shared = sum(_is_among(word, said) for word in asked)
    return shared >= _LEAST_RESTATED and shared >= _MOST_RESTATED * len(asked)


def _is_among(word: str, words: Iterable[str]) -> bool:
    return any(other.startswith(word[:_STEM]) for other in words)


def names_tail(triple: Triple, asked: Collection[str]) -> bool:
    """Whether a query with the words `asked` names a fact's tail, so that it asks for its head.

    The tail is a phrase, and most of its words are there: "Who collaborated on a book about trees?"
    """
    words = [word for word in words_in(triple.tail.key) if word not in FUNCTION_WORDS]
    if triple.head == USER_CONCEPT or len(words) < _LEAST_NAMED:
        return False
    return sum(word in asked for word in words) >= _MOST_NAMED * len(words)


def _without_base(part: RelationSlice) -> RelationSlice:
    return replace(part, base=(), base_count=0)


def _without_personal(part: RelationSlice) -> RelationSlice:
    """Only the base's triples, with those that the user added although the base has them."""
    both = [replace(v, origin=Origin.BASE, stamp=None) for v in part.personal if v.in_base]
    base = sorted((*part.base, *both), key=lambda v: -(v.weight or 0.0))
    return replace(part, personal=(), base=tuple(base), base_count=part.base_count + len(both))
