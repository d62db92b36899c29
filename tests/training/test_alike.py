"""The texts from which scope keys are learned: what means the same, and what only looks alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, islice

import pytest

from server.graph.relation import Vocabulary
from tests.training.reference_data import PEOPLE
from training.alike import Alike, Meaning, merged
from training.kinds import Kind, bare, filled, plain, read_kinds
from training.sources import Sources, in_unseen_half, is_held_out

VOCABULARY = Vocabulary.built_in()
KINDS = read_kinds()
SUBJECTS = {subject for kind in KINDS for subject in kind.subjects}
PERSON = re.compile(r"Person Number\d+", re.IGNORECASE)


@pytest.fixture(scope="module")
def alike(sources: Sources) -> Alike:
    return Alike(sources, VOCABULARY, seed=5)


@pytest.fixture(scope="module")
def batches(alike: Alike) -> list[list[Meaning]]:
    return list(islice(alike.batches(36), 400))


@pytest.fixture(scope="module")
def drawn(batches: list[list[Meaning]]) -> set[str]:
    """All texts, without what makes no other wording of them."""
    texts = {plain(text) for batch in batches for text in all_texts(batch)}
    return texts | {re.sub(r"^(.*?[,!:.] )", "", text) for text in texts}


def said_by(kind: Kind, subject: str) -> set[str]:
    """All that has the kind's own meaning, about this subject."""
    facts = [*kind.statements, f"{kind.head} {kind.relation} {{a}}"]
    texts = [text.replace("{a}", answer) for text in facts for answer in kind.answers]
    return {plain(filled(text, subject)) for text in (*kind.asked, *texts)}


def is_own(meaning: Meaning, kind: Kind, subject: str) -> bool:
    texts = set(map(plain, meaning.texts))
    if not all(plain(subject) in text for text in texts) or bool(subject) != bool(kind.subjects):
        return False
    return texts <= said_by(kind, subject)


def kinds_of(meaning: Meaning, subject: str) -> list[Kind]:
    return [kind for kind in KINDS if is_own(meaning, kind, subject)]


def names_of(meaning: Meaning, subject: str) -> set[str]:
    return {kind.name for kind in kinds_of(meaning, subject)}


def subjects_of(meaning: Meaning, kind: Kind) -> set[str]:
    return {subject for subject in kind.subjects if is_own(meaning, kind, subject)}


def subjects_of_each(family: Sequence[Meaning], kind: Kind) -> list[set[str]]:
    return [subjects_of(meaning, kind) for meaning in family]


def own(family: Sequence[Meaning]) -> list[Meaning]:
    """The meanings that are said in several ways. The others are near misses."""
    return [meaning for meaning in family if len(meaning.texts) > 1]


def all_texts(meanings: Sequence[Meaning]) -> list[str]:
    return [text for meaning in meanings for text in meaning.texts]


# Families


def named_by_all(texts: Sequence[str]) -> str:
    """The subject that all of the texts name."""
    named = set(SUBJECTS)
    for text in texts:
        named = {subject for subject in named if subject.casefold() in text.casefold()}
    return max(named, key=len)


def test_a_family_holds_one_subject_with_other_relations(alike: Alike) -> None:
    sizes = []
    for _ in range(12):
        family = own(alike.one_subject())
        subject = named_by_all(all_texts(family))
        names = [names_of(meaning, subject) for meaning in family]
        assert all(names), "each is a kind's, about this subject"
        assert sum(map(len, names)) == len(set.union(*names)), "no two are one kind's"
        sizes.append(len(family))
    assert set(sizes) <= {1, 2, 3}
    assert sizes.count(3) >= 6


def test_a_family_holds_one_relation_with_other_subjects(alike: Alike) -> None:
    for _ in range(12):
        family = own(alike.one_relation())
        assert len(family) == 3
        subjects = next(found for kind in KINDS if all(found := subjects_of_each(family, kind)))
        assert sum(map(len, subjects)) == len(set.union(*subjects)), "no two are about one subject"


def test_a_family_about_the_user_holds_several_kinds_of_one_topic(alike: Alike) -> None:
    sizes = []
    for _ in range(12):
        family = own(alike.of_the_user())
        kinds = [kinds_of(meaning, "")[0] for meaning in family]
        assert not any(kind.subjects for kind in kinds)
        assert len({kind.topic for kind in kinds}) == 1
        assert len({kind.name for kind in kinds}) == len(family)
        sizes.append(len(family))
    assert sizes.count(3) >= 6


def test_each_kind_stands_next_to_its_near_misses(alike: Alike) -> None:
    for _ in range(20):
        family = alike.of_the_user()
        near: set[str] = set()
        for meaning in own(family):
            near.update(plain(text) for kind in kinds_of(meaning, "") for text in kind.near)
        alone = [meaning for meaning in family if len(meaning.texts) == 1]
        assert len(own(family)) <= len(alone) <= 2 * len(own(family))
        assert near.issuperset(map(plain, all_texts(alone)))


def test_queries_stand_next_to_what_states_their_answer(alike: Alike) -> None:
    queries = {plain(wording) for kind in KINDS for wording in kind.wordings}
    families = [own(alike.of_the_user()) for _ in range(60)]
    meanings = [meaning for family in families for meaning in family]
    stating = [m for m in meanings if not queries.issuperset(map(plain, m.texts))]
    assert 0.1 < len(stating) / len(meanings) < 0.5
    assert all(plain(m.texts[0]) in queries for m in stating)


# Batches


def test_the_same_seed_gives_the_same_batches(sources: Sources) -> None:
    first, second, other = (
        list(islice(Alike(sources, VOCABULARY, seed).batches(36), 5)) for seed in (5, 5, 6)
    )
    assert first == second != other


def test_a_batch_has_about_as_many_texts_as_it_is_asked_for(batches: list[list[Meaning]]) -> None:
    assert all(30 <= len(all_texts(batch)) <= 60 for batch in batches)


def test_the_same_words_have_one_meaning() -> None:
    rent, other, fact = Meaning(("What's my rent?", "rent?")), Meaning(("RENT",)), Meaning(("a",))
    assert merged([rent, fact, other]) == [fact, Meaning(("What's my rent?", "RENT"))]
    joined = merged([Meaning(("a", "b")), Meaning(("c", "d")), fact, Meaning(("B", "C"))])
    assert [sorted(map(plain, meaning.texts)) for meaning in joined] == [["a", "b", "c", "d"]]


def test_no_two_meanings_of_a_batch_share_their_words(batches: list[list[Meaning]]) -> None:
    shared = 0
    for batch in batches:
        for one, other in combinations(batch, 2):
            shared += not set(map(plain, one.texts)).isdisjoint(map(plain, other.texts))
    assert shared == 0


# Held out


def test_nothing_is_drawn_about_a_subject_that_is_held_out_or_unseen(drawn: set[str]) -> None:
    people = {found for text in drawn for found in PERSON.findall(text)}
    people = {found.title() for found in people}
    assert len(people) > 20
    assert [person for person in people if is_held_out(person)] == []


def test_nothing_of_the_unseen_half_of_pokemqa_is_drawn(drawn: set[str]) -> None:
    halves = {False: 0, True: 0}
    for person in PEOPLE:
        asked = {plain(f"What is it that {person} was born in?"), plain(f"{person} was born in")}
        halves[in_unseen_half(person)] += not drawn.isdisjoint(asked)
    assert halves[True] == 0, "ParaRel does not ask it either"
    assert halves[False] > 20


@pytest.mark.parametrize("said", ["believes in", "plays", "religion"])
def test_no_relation_that_is_held_out_is_drawn_from_the_reference_data(
    drawn: set[str], said: str
) -> None:
    assert [text for text in drawn if PERSON.search(text) and said in text] == []


def test_no_kind_subject_or_wording_that_is_held_out_is_drawn(drawn: set[str]) -> None:
    for kind in KINDS:
        kept = kind.held_out if kind.is_trained_on else kind.wordings
        for subject in kind.subjects or ("",):
            assert drawn.isdisjoint(plain(filled(w, subject)) for w in kept), kind.name
            if is_held_out(subject) or is_held_out(bare(subject)):
                assert drawn.isdisjoint(said_by(kind, subject)), kind.name


def test_as_many_pairs_mean_the_same_as_do_not_and_none_is_of_one_text(alike: Alike) -> None:
    pairs = [alike.pair() for _ in range(400)]
    assert 0.4 < sum(pair.same for pair in pairs) / len(pairs) < 0.65
    assert all(plain(pair.query) != plain(pair.taught) for pair in pairs)
