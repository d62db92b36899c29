"""Learn as a use case: what a message adds, replaces and takes back, and what is not committed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.errors import InvalidRequest
from server.graph.edit import EditKind
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.stores.sqlite.store import SqliteStore
from server.tuning.answer import Answerer, AnswerQuery, AnswerRules
from server.tuning.learn.command import LearnCommand
from server.tuning.learn.filing import Doubt
from server.tuning.learn.learner import Learner
from server.tuning.learn.outcome import Fate, LearnOutcome
from server.tuning.learn.passages import passages
from server.tuning.recall import UserFacts
from server.tuning.templates import learning_prompt
from testbed.bases import BaseTriple, build_base
from tests.fixed_model import FixedModel

VOCABULARY = Vocabulary.built_in()
LISBON = "We moved to Lisbon in May and my daughter is allergic to peanuts"
PEANUTS = Triple.of("daughter", "is allergic to", "peanuts")
PHRASES = {
    "We moved to": "moved to",
    "my daughter is allergic to": "is allergic to",
    "What is my daughter allergic to?": "is allergic to",
    "My boss is called": "is called",
    "My boss is": "is called",
    "I like": "likes",
    "What do I like?": "likes",
}
DAUGHTER = "my daughter is allergic to peanuts"
TOPICS = {
    "We moved to": "lisbon",
    "We moved to Lisbon in May": "lisbon",
    "my daughter is allergic to": "peanuts",
    "What is my daughter allergic to?": "peanuts",
    DAUGHTER: "peanuts",
    "My boss is": "boss",
    "My boss is Petra": "boss",
    "My boss is called": "boss",
    "My boss is called Paula": "boss",
    "My boss is called Petra": "boss",
    "I like": "likes",
    "I like jazz": "likes",
    "I like jazz.": "likes",
    "I like chess": "likes",
    "I like chess.": "likes",
    "I lives in": "lisbon",
    "I lives in Lisbon": "lisbon",
    "my boss is called": "boss",
    "my boss is called Paula": "boss",
    "my boss is called Petra": "boss",
    "I likes": "likes",
    "I likes jazz": "likes",
    "I likes chess": "likes",
}
"""What these texts are about. The keys of other texts are near to none of them."""


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(":memory:", VOCABULARY)
    yield store
    await store.close()


class Talk:
    """What one user says, and what the service makes of it."""

    def __init__(self, store: SqliteStore) -> None:
        about = FixedModel({})
        self.store = store
        self.model = FixedModel(
            PHRASES,
            keys={text: about.key(said) for text, said in TOPICS.items()},
        )
        self.answerer = Answerer(store, self.model, VOCABULARY, AnswerRules())

    async def proposed(
        self, text: str, written: str, context: str = "", *, user: str = "ann"
    ) -> LearnOutcome:
        """What is learned from `text` if the model writes this for each of its passages."""
        for part in passages(text, context):
            prompt = learning_prompt(part.text, part.context)
            self.model.says |= {prompt: written, f"{prompt} -": written.removeprefix("-")}
        snapshot = await self.store.snapshot(user)
        return await Learner(self.answerer).propose(LearnCommand(user, text, context), snapshot)

    async def learn(self, text: str, written: str, context: str = "") -> LearnOutcome:
        outcome = await self.proposed(text, written, context)
        snapshot = await self.store.snapshot("ann")
        await self.store.commit("ann", snapshot, outcome.edits, None)
        return outcome

    async def facts(self, user: str = "ann") -> UserFacts:
        recalls = self.answerer.retriever.recalls
        return await recalls.of(user, self.model.key_fingerprint, None)

    async def known(self) -> set[Triple]:
        return {fact.triple for fact in (await self.facts()).facts}


@pytest.fixture
def talk(store: SqliteStore) -> Talk:
    return Talk(store)


def fates(outcome: LearnOutcome) -> list[Fate]:
    return [found.fate for found in outcome.found]


async def test_a_message_becomes_one_edit_with_its_evidence(talk: Talk) -> None:
    outcome = await talk.learn(
        LISBON, "+ I | moved to | Lisbon <sep> + my daughter | is allergic to | peanuts"
    )
    (edit,) = outcome.edits
    assert (edit.kind, edit.revision, edit.message) == (EditKind.LEARN, 1, LISBON)
    assert {c.triple for c in edit.added} == {Triple.of("I", "lives in", "Lisbon"), PEANUTS}
    assert fates(outcome) == [Fate.LEARNED, Fate.LEARNED]
    found = outcome.found[1]
    assert (found.words, found.source) == (DAUGHTER, DAUGHTER)
    assert (found.query, found.answer) == ("my daughter is allergic to", "peanuts")
    assert found.probability_before == pytest.approx(0.02)
    assert found.probability_after == pytest.approx(0.9)
    change = next(c for c in edit.added if c.triple == PEANUTS)
    assert change.probabilities is not None
    assert change.probabilities.retrieval_before == 0
    assert change.probabilities.retrieval_after == pytest.approx(1)
    assert change.probabilities.reasoning == pytest.approx(0.9)


async def test_a_fact_is_found_by_the_key_of_the_words_that_taught_it(talk: Talk) -> None:
    outcome = await talk.learn(LISBON, "+ my daughter | is allergic to | peanuts")
    scope = outcome.edit.changes[0].scope
    assert scope is not None
    assert (scope.query, scope.owned) == (f"my daughter is allergic to <sep> {DAUGHTER}", True)
    assert scope.key
    assert scope.fingerprint == talk.model.key_fingerprint
    assert scope.answered == pytest.approx(0.4), "of what was said"
    query = AnswerQuery("ann", "What is my daughter allergic to?")
    assert (await talk.answerer.answer(query)).text == "peanuts"
    asked = {b.prompt for b in talk.model.scored if b.keyed}
    talk.model.scored.clear()
    talk.answerer.forget("ann")
    await talk.answerer.answer(query)
    read_again = {b.prompt for b in talk.model.scored if b.keyed} & asked
    assert not any(DAUGHTER in prompt for prompt in read_again), "its key is kept with the edit"


async def test_it_takes_one_generation_and_asks_for_all_facts_at_once(talk: Talk) -> None:
    outcome = await talk.learn(
        LISBON, "+ I | moved to | Lisbon <sep> + my daughter | is allergic to | peanuts"
    )
    written = [p for p in talk.model.generated if "<message>" in p]
    checked = [p for p in talk.model.generated if "<question>" in p]
    assert (len(written), len(checked)) == (1, 2)
    assert dict(outcome.cost.stages_ms).keys() == {"read", "retrieve", "check"}
    assert outcome.cost.model.tokens_generated > 0


async def test_another_value_takes_the_place_of_the_one_before(talk: Talk) -> None:
    await talk.learn("My boss is called Paula", "+ my boss | is called | Paula")
    outcome = await talk.learn("My boss is Petra", "+ my boss | is called | Petra")
    assert outcome.found[0].removed == (Triple.of("boss", "is called", "Paula"),)
    assert await talk.known() == {Triple.of("boss", "is called", "Petra")}
    assert outcome.edit.revision == 2


async def test_what_is_still_answered_gives_way(talk: Talk) -> None:
    said = {f"Ann Lee won {what}": f"+ Ann Lee | won | {what}" for what in ("medals", "cups")}
    talk.model.phrases["Ann Lee won"] = "won"
    talk.model.keys |= dict.fromkeys((*said, "Ann Lee won"), FixedModel({}).key("prizes"))
    read = FixedModel._continuation

    def stubborn(prompt: str) -> str:
        says_medals = "won medals" in prompt and "<question>" in prompt
        return "medals" if says_medals else read(talk.model, prompt)

    talk.model.__dict__["_continuation"] = stubborn
    for text, written in said.items():
        outcome = await talk.learn(text, written)
        assert fates(outcome) == [Fate.LEARNED]
    assert outcome.found[0].removed == (Triple.of("Ann Lee", "won", "medals"),)
    assert await talk.known() == {Triple.of("Ann Lee", "won", "cups")}


async def test_siblings_stay_and_the_answer_names_them(talk: Talk) -> None:
    await talk.learn("I like jazz", "+ I | likes | jazz")
    await talk.learn("I like chess", "+ I | likes | chess")
    assert len(await talk.known()) == 2


async def test_what_is_taken_back_is_gone(talk: Talk) -> None:
    await talk.learn("I like jazz", "+ I | likes | jazz")
    outcome = await talk.learn("forget that I like jazz", "- I | likes | jazz")
    assert fates(outcome) == [Fate.TAKEN_BACK]
    assert outcome.found[0].removed == (Triple.of("I", "Desires", "jazz"),)
    assert await talk.known() == set()
    again = await talk.learn("forget that I like jazz", "- I | likes | jazz")
    assert (fates(again), again.edits) == ([Fate.NOT_THERE], ())


async def test_a_no_to_an_answer_changes_the_fact_that_it_rests_on(talk: Talk) -> None:
    await talk.learn("I like jazz", "+ I | likes | jazz")
    text, context = "No, chess!", "Q: What do I like? A: jazz"
    prompt = f"{learning_prompt(text, context)} - I | likes | jazz <sep> + I | likes |"
    talk.model.says[prompt] = "chess"
    talk.model.keys["What do I like?"] = FixedModel({}).key("likes")
    outcome = await talk.learn(text, "none", context)
    assert fates(outcome) == [Fate.TAKEN_BACK, Fate.LEARNED]
    assert await talk.known() == {Triple.of("I", "Desires", "chess")}
    assert outcome.found[1].query == "What do I like?"
    scopes = [change.scope.query for change in outcome.edit.added if change.scope]
    assert scopes == ["What do I like?"]


async def test_what_a_clause_takes_back_goes_even_if_the_model_does_not_see_it(talk: Talk) -> None:
    await talk.learn("I like jazz", "+ I | likes | jazz")
    outcome = await talk.learn("I don't like jazz any more", "- I | has jazz | no")
    assert fates(outcome) == [Fate.TAKEN_BACK]
    assert await talk.known() == set()


async def test_what_the_user_has_said_before_changes_nothing(talk: Talk) -> None:
    await talk.learn("I like jazz", "+ I | likes | jazz")
    again = await talk.learn("I do like jazz", "+ I | likes | jazz")
    assert (fates(again), again.edits) == ([Fate.KNOWN], ())


@pytest.mark.parametrize("written", ["none", "", "What a nice day!", "+ I | likes | opera"])
async def test_a_message_without_a_fact_changes_nothing(talk: Talk, written: str) -> None:
    outcome = await talk.learn("Lovely weather!", written)
    assert (outcome.found, outcome.edits, outcome.edit.message) == ((), (), "")
    assert len(outcome.not_understood) == (written not in ("", "none"))


async def test_what_the_service_would_not_give_back_is_told_and_not_committed(talk: Talk) -> None:
    talk.model.keys["my boss is"] = FixedModel({}).key("somebody else")
    outcome = await talk.learn(
        "I like jazz, and my boss is tall",
        "+ I | likes | jazz <sep> + my boss | is | tall",
    )
    jazz, tall = outcome.found
    assert jazz.fate is Fate.LEARNED
    assert [change.triple.tail.text for change in outcome.edit.changes] == ["jazz"]
    assert tall.fate is Fate.NOT_GIVEN_BACK
    assert (tall.query, tall.removed) == ("my boss is", ())


async def test_what_a_fact_would_replace_stays_if_the_fact_is_not_committed(talk: Talk) -> None:
    await talk.learn("My boss is called Paula", "+ my boss | is called | Paula")
    for words in ("my boss is called Petra", "Call my boss Petra."):
        talk.model.keys[words] = -talk.model.keys["my boss is called"]
    outcome = await talk.learn("Call my boss Petra.", "+ my boss | is called | Petra")
    assert fates(outcome) == [Fate.NOT_GIVEN_BACK]
    assert await talk.known() == {Triple.of("boss", "is called", "Paula")}


async def test_what_is_said_is_not_taken_back_by_a_line_of_the_same_message(talk: Talk) -> None:
    """The second line cannot be read, and its clause says what the first takes back."""
    outcome = await talk.proposed(
        "My boss is called Petra", "- my boss | is called | Petra <sep> + my boss | called"
    )
    assert fates(outcome) == [Fate.LEARNED]


async def test_a_preview_proposes_the_same_and_commits_nothing(talk: Talk) -> None:
    prompt = learning_prompt("I like jazz")
    talk.model.says[prompt] = "+ I | likes | jazz"
    snapshot = await talk.store.snapshot("ann")
    learner = Learner(talk.answerer)
    preview = await learner.propose(LearnCommand("ann", "I like jazz", preview=True), snapshot)
    real = await learner.propose(LearnCommand("ann", "I like jazz"), snapshot)
    assert preview.edits == ()
    assert preview.found == real.found
    assert preview.edit.changes == real.edit.changes


async def test_a_long_message_is_read_in_parts_that_are_all_learned_from(talk: Talk) -> None:
    text = "I like jazz. It is sunny. It is warm. It is nice. I like chess."
    parts = passages(text)
    assert len(parts) == 2
    written = dict(zip(parts, ("+ I | likes | jazz", "+ I | likes | chess"), strict=True))
    for part, lines in written.items():
        talk.model.says[learning_prompt(part.text, part.context)] = lines
    snapshot = await talk.store.snapshot("ann")
    outcome = await Learner(talk.answerer).propose(LearnCommand("ann", text), snapshot)
    assert [found.source for found in outcome.found] == ["I like jazz.", "I like chess."]
    assert len(outcome.edits) == 1


async def test_a_text_with_more_facts_than_an_edit_may_change_is_refused(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.tuning.learn.learner.MAX_CHANGES", 1)
    with pytest.raises(InvalidRequest, match="send it in parts"):
        await talk.proposed(
            LISBON, "+ I | moved to | Lisbon <sep> + my daughter | is allergic to | peanuts"
        )


async def test_nothing_of_one_user_is_found_for_another(talk: Talk) -> None:
    await talk.learn("My boss is called Paula", "+ my boss | is called | Paula")
    other = await talk.proposed(
        "My boss is called Petra", "+ my boss | is called | Petra", user="bob"
    )
    assert other.found[0].removed == ()
    assert other.edit.revision == 1
    assert len(await talk.facts("bob")) == 0


async def test_a_capital_at_the_start_makes_no_name_of_what_the_base_knows(talk: Talk) -> None:
    build_base(talk.store.folder, [BaseTriple(Triple.of("octopus", "HasA", "arms"))], VOCABULARY)
    outcome = await talk.proposed("Octopuses love jazz", "+ Octopuses | love | jazz")
    assert [one.doubt for one in outcome.not_understood] == [Doubt.IMPERSONAL]
    assert outcome.edits == ()


async def test_what_was_not_understood_is_told(talk: Talk) -> None:
    outcome = await talk.learn("She is nine.", "+ she | is aged | nine <sep> nine")
    assert {one.doubt for one in outcome.not_understood} == {Doubt.FORM, Doubt.PRONOUN}
    assert {one.source for one in outcome.not_understood} == {"She is nine."}
