"""Personalize over a real channel: what a correction changes, for whom, why and at what cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest

from kgt.client import AsyncClient
from kgt.errors import InvalidArgument
from kgt.v1 import personalization_pb2 as pb
from tests.fixed_model import FixedModel
from tests.rpc.running import ENJOY, FEED, NAME, PHRASES, WHERE, Running, running, say, triples


async def test_a_correction_changes_that_users_answers_and_nobody_elses(
    client: AsyncClient,
) -> None:
    assert await say(client, ENJOY) == "meat"
    response = await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert response.converged
    assert await say(client, ENJOY) == "vegetables"
    assert await say(client, FEED) == "vegetables"
    assert await say(client, ENJOY, "bob") == "meat"
    assert await say(client, WHERE) == "kennel"
    await client.personalize(user="alice", query=FEED, answer="fish")
    assert await say(client, ENJOY) == "fish"


async def test_the_change_is_explained_in_triples_and_probabilities(client: AsyncClient) -> None:
    """By hand: p(likes) = 0.8, 0.05 for the others; 3 likes, 3 locations, 1 kind: 2.4 + 0.2 = 2.6
    before.

    After: the two likes that the base has left weigh 1 with the rest of it, and the vegetables
    weigh exp(8 (1 - 0.75)), as their query is this one and the floor is 0.75.
    """
    scope = math.exp(8 * (1 - 0.75))
    share = scope / (scope + 1)
    r = await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert triples(r.edit.added) == [("dog", "Desires", "vegetables")]
    assert triples(r.edit.removed) == [("dog", "Desires", "meat")]
    (added,), (removed,) = r.edit.added, r.edit.removed
    assert added.retrieval_probability_before == 0
    assert added.retrieval_probability_after == pytest.approx(share)
    assert added.reasoning_probability_after == pytest.approx(0.9)
    assert removed.retrieval_probability_before == pytest.approx(0.8 / 2.6)
    assert removed.retrieval_probability_after == 0
    assert removed.reasoning_probability_before == pytest.approx(0.02)
    assert removed.answer_before_probability == pytest.approx(0.9)
    assert (r.answer_before, r.answer_after) == ("meat", "vegetables")
    assert r.stop_reason == pb.STOP_REASON_OVERTOOK
    assert r.loss_before == math.inf
    assert r.loss_after == pytest.approx(-math.log(0.9 * share))
    assert math.exp(r.answer_logprob_before) == pytest.approx(0.02)
    assert r.edit.revision == 1
    assert r.subject.concept == "dog"
    assert len(r.considered) == 5
    assert {"model", "templates", "vocabulary", "base_graph"} <= {
        f.name for f, _ in r.fingerprints.ListFields()
    }


async def test_cost_is_what_the_model_was_asked(service: Running) -> None:
    r = await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert len(service.model.generated) == 3, "the answer before, the relations, the answer after"
    assert r.cost.tokens_generated == len(["meat"]) + len(["vegetables"]) + _extracted_words(
        service.model
    )
    assert r.cost.forward_passes == r.cost.tokens_generated + 2, (
        "and two scorings: relations, then triples"
    )
    assert [s.stage for s in r.cost.stages] == [
        "retrieve", "answer_before", "relations", "score", "decide", "answer_after",
    ]  # fmt: skip
    assert all(s.duration_ms >= 0 for s in r.cost.stages)


def _extracted_words(model: FixedModel) -> int:
    extraction = next(p for p in model.generated if p.endswith("<relation>:"))
    return len(model._continuation(extraction).split())


async def test_no_generation_where_the_caller_knows_everything(service: Running) -> None:
    r = await service.client.personalize(
        user="alice",
        query=ENJOY,
        answer="vegetables",
        relations=["likes"],
        answer_before="meat",
        verify=False,
    )
    assert service.model.generated == []
    assert r.cost.forward_passes == 1
    assert (r.converged, r.answer_after) == (True, "vegetables")
    assert triples(r.edit.removed) == [("dog", "Desires", "meat")]


async def test_without_verification_the_answers_are_what_eq_1_ranks_first(service: Running) -> None:
    r = await service.client.personalize(
        user="alice", query=ENJOY, answer="vegetables", relations=["likes"], verify=False
    )
    assert (r.answer_before, r.answer_after) == ("meat", "vegetables")
    assert service.model.generated == []


async def test_relations_may_be_ranked_instead_of_generated(service: Running) -> None:
    options = pb.PersonalizeOptions(relation_source=pb.RELATION_SOURCE_RANKED, k=3)
    r = await service.client.personalize(
        user="alice", query=ENJOY, answer="vegetables", options=options
    )
    assert not any(p.endswith("<relation>:") for p in service.model.generated)
    assert len(r.considered) == 3
    assert r.considered[0].triple.relation == "Desires"


async def test_what_is_asked_ahead_decides_nothing(tmp_path: Path) -> None:
    """One question or one after the other (a budget too small to ask ahead): the same edit, the
    same probabilities."""
    made = []
    for number, budget in enumerate((64, 40)):
        async with running(tmp_path / str(number)) as service:
            options = pb.PersonalizeOptions(
                relation_source=pb.RELATION_SOURCE_RANKED, scored_mass=1, max_scored_triples=budget
            )
            r = await service.client.personalize(
                user="alice",
                query=ENJOY,
                answer="vegetables",
                answer_before="meat",
                verify=False,
                options=options,
            )
            made.append(r)
    assert [r.cost.forward_passes for r in made] == [1, 3]
    for r in made:
        r.ClearField("cost")
        r.edit.ClearField("id")
        r.edit.ClearField("create_time")
    assert made[0] == made[1]


async def test_an_answer_after_a_correction_of_the_same_query_reads_only_to_generate(
    service: Running,
) -> None:
    await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    asked = len(service.model.scored)
    r = await service.client.answer(user="alice", query=ENJOY)
    assert r.text == "vegetables"
    assert len(service.model.scored) == asked
    await service.client.answer(user="bob", query=ENJOY)
    assert len(service.model.scored) > asked, "what one user asked saves another nothing"


async def test_the_answer_to_a_query_just_asked_is_not_generated_again(service: Running) -> None:
    """It is another one after any edit, and nobody else's."""
    client, generated = service.client, service.model.generated
    assert await say(client, ENJOY) == "meat"
    r = await client.personalize(user="alice", query=ENJOY, answer="vegetables", preview=True)
    assert (r.answer_before, r.answer_after) == ("meat", "vegetables")
    assert len([p for p in generated if "<facts>" in p]) == 2, "asked; and the answer after"
    generated.clear()
    await client.personalize(user="bob", query=ENJOY, answer="vegetables", preview=True)
    assert len([p for p in generated if "<facts>" in p]) == 2
    generated.clear()
    await client.edit_facts(user="alice", add=[("cat", "likes", "fish")])
    r = await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert len([p for p in generated if "<facts>" in p]) == 2
    generated.clear()
    await client.erase_user(user="alice")
    await client.personalize(user="alice", query=ENJOY, answer="vegetables", preview=True)
    assert len([p for p in generated if "<facts>" in p]) == 2


async def test_what_is_correct_already_commits_nothing(client: AsyncClient) -> None:
    r = await client.personalize(user="alice", query=ENJOY, answer="The meat.")
    assert r.stop_reason == pb.STOP_REASON_ALREADY_CORRECT
    assert (r.converged, r.edit.id, r.edit.revision) == (True, "", 0)
    assert not r.HasField("loss_before")
    assert (await client.list_edits(user="alice")).revision == 0


async def test_a_preview_tells_the_same_and_commits_nothing(client: AsyncClient) -> None:
    preview = await client.personalize(user="alice", query=ENJOY, answer="vegetables", preview=True)
    assert preview.preview
    assert preview.edit.id == ""
    assert await say(client, ENJOY) == "meat"
    real = await client.personalize(user="alice", query=ENJOY, answer="vegetables")
    for response in (preview, real):
        response.ClearField("cost")
        response.edit.ClearField("id")
        response.edit.ClearField("create_time")
        response.ClearField("preview")
    assert preview == real


async def test_a_model_that_does_not_listen_is_told_more_and_then_given_up_on(
    service: Running,
) -> None:
    """The generation stays wrong whatever the facts: three resumes, then the best state, converged:
    false."""
    stubborn = FixedModel(PHRASES)
    stubborn._continuation = lambda prompt: (
        "meat" if "<facts>" in prompt else FixedModel(PHRASES)._continuation(prompt)
    )  # type: ignore[method-assign]
    service.model.__dict__["_continuation"] = stubborn._continuation
    r = await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert r.stop_reason == pb.STOP_REASON_EXHAUSTED
    assert not r.converged
    assert "'meat'" in r.explanation
    assert r.edit.id, "the best state found is committed"
    assert any(c.triple.tail == "vegetables" for c in r.edit.added)
    after = [p for p in service.model.generated if "<facts>" in p]
    assert len(after) == len(set(after)) <= 5, "no prompt is generated twice"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("C", "C++"),
        ("C++", "C#"),
        ("18 degrees", "-18 degrees"),
        ("2.5", "2"),
        ("AB-123", "AB 123"),
        ("Porto Alegre", "Porto"),
        ("Porto", "Porto Alegre"),
        ("red wine", "red"),
        ("Noor and Emil", "Noor, Emil and Tove"),
        ("My Chemical Romance", "The Who"),
        ("Chemical Romance", "My Chemical Romance"),
        ("Yahoo", "Yahoo!"),
        ("北京大学", "北京"),
    ],
)
async def test_a_second_correction_takes_effect_however_little_differs(
    client: AsyncClient, first: str, second: str
) -> None:
    await client.personalize(user="alice", query=NAME, answer=first)
    assert await say(client, NAME) == first
    r = await client.personalize(user="alice", query=NAME, answer=second)
    assert r.stop_reason == pb.STOP_REASON_OVERTOOK
    assert r.converged
    assert await say(client, NAME) == second
    again = await client.personalize(user="alice", query=NAME, answer=second)
    assert again.stop_reason == pb.STOP_REASON_ALREADY_CORRECT


@pytest.mark.parametrize(
    "name",
    [
        "My Chemical Romance",
        "The Who",
        "Washington, D.C.",
        "U.S.A.",
        "Yahoo!",
        "hunter2;",
        "C++",
        "-18 degrees",
    ],
)
async def test_a_name_is_stored_and_answered_whole(client: AsyncClient, name: str) -> None:
    r = await client.personalize(user="alice", query=NAME, answer=name)
    assert r.converged
    assert [tail for _, _, tail in triples(r.edit.added)] == [name]
    assert await say(client, NAME) == name


async def test_a_tail_that_begins_like_the_feedback_is_weighed_against_it(service: Running) -> None:
    """The other tail is a rival: the model is asked how probable it is, and the feedback has to
    overtake it."""
    await service.client.personalize(user="alice", query=NAME, answer="Porto Alegre")
    service.model.scored.clear()
    await service.client.personalize(user="alice", query=NAME, answer="Porto")
    asked = {
        continuation.strip()
        for branch in service.model.scored
        for continuation in branch.continuations
    }
    assert {"Porto", "Porto Alegre"} <= asked


async def test_an_answer_with_a_clause_behind_it_is_the_answer(service: Running) -> None:
    service.model.__dict__["_continuation"] = lambda prompt: (
        "vegetables, because they are healthy"
        if "<facts>" in prompt
        else FixedModel._continuation(service.model, prompt)
    )
    r = await service.client.personalize(user="alice", query=ENJOY, answer="vegetables")
    assert r.stop_reason == pb.STOP_REASON_ALREADY_CORRECT


async def test_the_explanation_does_not_blame_the_model_for_an_answer_that_is_the_feedback(
    service: Running,
) -> None:
    """Every P(a|q,z) is the same, so no triple puts the feedback ahead, and yet the model comes to
    answer so."""
    service.model.__dict__["_probability"] = lambda prompt, continuation: 0.5
    r = await service.client.personalize(
        user="alice", query=ENJOY, answer="vegetables", answer_before="meat"
    )
    assert not r.converged
    assert r.answer_after == "vegetables"
    assert r.stop_reason == pb.STOP_REASON_EXHAUSTED
    assert "the model answers so" in r.explanation
    assert "still answers" not in r.explanation


async def test_subject_object_and_relation_may_be_given(client: AsyncClient) -> None:
    r = await client.personalize(
        user="alice",
        query="What goes into the bowl?",
        answer="only carrots, please",
        subject="my dog",
        object="carrots",
        relations=["enjoys"],
        verify=False,
    )
    assert triples(r.edit.added) == [("my dog", "Desires", "carrots")]


async def test_a_user_may_talk_about_anything(client: AsyncClient) -> None:
    r = await client.personalize(
        user="alice", query=NAME, answer="Rex", answer_before="nobody knows"
    )
    assert triples(r.edit.added) == [("dog", "is named", "Rex")]
    assert triples(r.edit.removed) == []
    assert await say(client, NAME) == "Rex"
    assert await say(client, ENJOY) == "meat"


async def test_a_relation_between_words_is_a_fact_once_a_user_adds_it(client: AsyncClient) -> None:
    answer = await client.answer(user="alice", query=ENJOY)
    assert "Synonym" not in [f.triple.relation for f in answer.facts]
    r = await client.personalize(
        user="alice", query=ENJOY, answer="hound dog", relations=["Synonym"]
    )
    assert triples(r.edit.added) == [("dog", "Synonym", "hound dog")]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"user": ""}, "user"),
        ({"user": "u" * 129}, "user"),
        ({"query": "  "}, "query"),
        ({"answer": ""}, "answer"),
        ({"answer": "a\x00b"}, "answer"),
        ({"request_id": "r" * 65}, "request_id"),
        ({"subject": ""}, "subject"),
        ({"object": "o" * 513}, "object"),
        ({"answer": "word " * 200}, "answer"),
        ({"relations": ["r" * 65]}, "relations[0]"),
        ({"relations": ["is"] * 21}, "relations"),
        ({"expected_revision": -1}, "expected_revision"),
        ({"options": pb.PersonalizeOptions(k=0)}, "options.k"),
        ({"options": pb.PersonalizeOptions(k=21)}, "options.k"),
        ({"options": pb.PersonalizeOptions(scored_mass=0)}, "options.scored_mass"),
        ({"options": pb.PersonalizeOptions(scored_mass=math.nan)}, "options.scored_mass"),
        ({"options": pb.PersonalizeOptions(max_scored_triples=5000)}, "options.max_scored_triples"),
        ({"options": pb.PersonalizeOptions(epsilon=math.inf)}, "options.epsilon"),
        ({"options": pb.PersonalizeOptions(stopping=cast(Any, 9))}, "options.stopping"),
        ({"query": "What is it to the and?"}, "query"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    client: AsyncClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.personalize(**{"user": "alice", "query": ENJOY, "answer": "fish"} | arguments)
    assert list(refused.value.fields) == [field]
    assert refused.value.reason in ("INVALID_FIELD", "SUBJECT_NOT_FOUND")
    assert (await client.list_edits(user="alice")).revision == 0


async def test_a_text_too_long_for_the_model_says_how_long(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await client.personalize(user="alice", query="dog " * 500, answer="fish")
    assert refused.value.reason == "TEXT_TOO_LONG"
    assert refused.value.metadata["limit"] == "400"
    assert int(refused.value.metadata["tokens"]) > 500


async def test_settings_are_the_defaults(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running(tmp_path_factory.mktemp("k"), k=2) as service:
        r = await service.client.personalize(user="alice", query=ENJOY, answer="fish")
        assert len(r.considered) == 2
