from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from evaluation.methods.account import Accountable
from evaluation.methods.kgt import Kgt, Way, mixed
from evaluation.methods.method import EditCase
from evaluation.methods.registry import METHODS
from evaluation.methods.setting import EvalModel, Labels
from evaluation.paper import graph
from evaluation.paper.editing import Resumable
from kgload.small import BaseTriple
from server import assemble
from server.graph.relation import Vocabulary
from server.graph.triple import Triple
from server.tuning.ports import StoreCounts
from server.tuning.templates import reasoning_prompt
from testbed.neo4j import Database
from testbed.neo4j.graphs import fill, forget_users

CASE = EditCase("0", "Ann Lee", "Ann Lee was born in", "Oslo", "Rome", "P19")
ROWS = [("Ann Lee", "place of birth", "Rome", 1.0), ("Ann Lee", "religion", "Zen", 1.0)]


@pytest.fixture
def model(eval_model: EvalModel, tmp_path: Path) -> EvalModel:
    """The tiny model over a base graph that knows something about Ann Lee."""
    graph.load(ROWS, tmp_path / "base.tsv", eval_model.settings)
    eval_model.labels = Labels({CASE.prompt: "Ann Lee"}, {CASE.prompt: "place of birth"})
    return eval_model


def test_without_an_edit_eq_1_weighs_what_the_graph_has(model: EvalModel) -> None:
    method = METHODS["no edit"].make("no edit", model)
    method.edit(CASE)
    facts = ["Ann Lee place of birth Rome", "Ann Lee religion Zen"]
    given = [
        math.exp(model.plain.logprob(reasoning_prompt(CASE.prompt, [fact]), "Rome").total)
        for fact in facts
    ]
    mixture = math.exp(method.logprob(CASE.prompt, "Rome").total)
    assert min(given) <= mixture <= max(given)
    plain = model.plain.logprob("Nobody here was born in", "Rome")
    found = method.logprob("Nobody here was born in", "Rome")
    assert found.logprobs == pytest.approx(plain.logprobs, abs=1e-6), "no fact, no template"
    method.close()


@pytest.mark.parametrize("name", [name for name, one in METHODS.items() if "KGT" in name])
def test_an_edit_is_the_services_and_tells_what_it_did(name: str, model: EvalModel) -> None:
    method = METHODS[name].make(name, model)
    before = method.logprob(CASE.prompt, CASE.target_new)
    method.edit(CASE)
    assert isinstance(method, Accountable)
    account = method.account()
    assert account.refused == ""
    assert account.triples is not None
    after = method.logprob(CASE.prompt, CASE.target_new)
    assert (after != before) == (account.triples > 0)
    assert method.generate(CASE.prompt) == method.generate(CASE.prompt)
    method.close()


@pytest.mark.parametrize("name", ["KGT literal", "KGT default"])
def test_what_was_saved_is_restored_for_another_user(
    name: str, model: EvalModel, tmp_path: Path
) -> None:
    method = METHODS[name].make(name, model)
    method.edit(CASE)
    assert isinstance(method, Resumable)
    method.save(tmp_path / "state")
    logprob, answer = method.logprob(CASE.prompt, CASE.target_new), method.generate(CASE.prompt)
    method.close()
    again = METHODS[name].make(name, model)
    assert isinstance(again, Resumable)
    again.restore(tmp_path / "state")
    restored = again.logprob(CASE.prompt, CASE.target_new)
    assert restored.logprobs == pytest.approx(logprob.logprobs, abs=1e-6)
    assert again.generate(CASE.prompt) == answer
    again.close()


def test_literal_mode_adds_a_given_relation_and_moves_the_probability_to_it(
    model: EvalModel,
) -> None:
    method = Kgt("KGT", model, Way(literal=True, labelled=True, given=True))
    method.edit(CASE)
    facts = ("Ann Lee place of birth Oslo", "Ann Lee religion Zen", "Ann Lee place of birth Rome")
    each = [
        math.exp(model.plain.logprob(reasoning_prompt(CASE.prompt, [fact]), "Oslo").total)
        for fact in facts
    ]
    found = math.exp(method.logprob(CASE.prompt, "Oslo").total)
    assert min(each) - 1e-9 <= found <= max(each) + 1e-9
    method.close()


def test_users_do_not_see_each_others_edits(model: EvalModel) -> None:
    one = METHODS["KGT literal"].make("one", model)
    one.edit(CASE)
    other = METHODS["KGT literal"].make("other", model)
    unedited = METHODS["no edit"].make("no edit", model)
    found = other.logprob(CASE.prompt, "Oslo")
    assert found == unedited.logprob(CASE.prompt, "Oslo")
    for method in (one, other, unedited):
        method.close()


async def counts_of(model: EvalModel) -> StoreCounts:
    store = await assemble.open_store(model.settings, await assemble.vocabulary(model.settings))
    try:
        return await store.counts()
    finally:
        await store.close()


def test_either_store_gives_the_same(
    model: EvalModel, neo4j_database: Database, tmp_path: Path
) -> None:
    login = neo4j_database.login
    facts = [BaseTriple(Triple.of(head, relation, tail)) for head, relation, tail, _ in ROWS]
    asyncio.run(fill(login, facts, Vocabulary.built_in(), tmp_path))
    asyncio.run(forget_users(login))
    place = {
        "store": login.url,
        "neo4j_user": login.user,
        "neo4j_password": SecretStr(login.password),
    }
    other = EvalModel(model.settings.model_copy(update=place), tmp_path, model.labels)
    found = []
    for one in (model, other):
        method = METHODS["KGT literal"].make("KGT literal", one)
        method.edit(CASE)
        found.append(method.logprob(CASE.prompt, "Oslo").logprobs)
        method.close()
    other.release()
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    counts = asyncio.run(counts_of(other))
    assert (counts.triples, counts.users) == (2, 0), "nothing is left of the user"


def test_what_the_service_refuses_is_told(model: EvalModel) -> None:
    method = METHODS["KGT default"].make("KGT default", model)
    method.edit(EditCase("1", "", "Ann Lee was born in", "Oslo " * 3_000, "Rome"))
    assert isinstance(method, Accountable)
    assert (method.account().refused, method.account().triples) == ("InvalidRequest", 0)
    method.close()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(2, 5), st.integers(0, 1 << 30))
def test_a_mixture_is_eq_1_over_the_whole_target(
    prompts: int, length: int, words: int, seed: int
) -> None:
    torch.manual_seed(seed)
    logprobs = torch.randn(prompts, length, words, dtype=torch.float64).log_softmax(-1)
    weights = torch.randn(prompts, dtype=torch.float64).log_softmax(-1)
    tokens = torch.randint(words, (length,))
    found = mixed(logprobs, tokens, weights)
    steps = torch.arange(length)
    each = [math.exp(logprobs[z, steps, tokens].sum()) for z in range(prompts)]
    expected = sum(math.exp(w) * p for w, p in zip(weights, each, strict=True))
    assert math.exp(found.total) == pytest.approx(expected)
    assert all(logprob <= 1e-9 for logprob in found.logprobs)


def test_the_likeliest_token_of_a_mixture_need_not_be_any_prompts_own() -> None:
    """Two prompts each prefer another word, and both find the third nearly as likely."""
    probabilities = torch.tensor([[[0.5, 0.05, 0.45]], [[0.05, 0.5, 0.45]]])
    weights = torch.tensor([0.5, 0.5]).log()
    found = mixed(probabilities.log(), torch.tensor([2]), weights)
    assert found.is_greedy == (True,)
    assert math.exp(found.total) == pytest.approx(0.45)
