"""A server that cannot say how probable a given text is, is refused with what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from server.errors import ModelUnusable
from server.lm.remote.address import ModelAddress
from server.lm.remote.loading import RemoteChoice, connected
from tests.fixed_model import FixedModel
from tests.lm.remote.peer import Manners, Peer


def refusal(choice: RemoteChoice) -> str:
    """What is said of a server that cannot be used."""
    with pytest.raises(ModelUnusable) as refused:
        connected(choice, lambda: FixedModel({}))
    return str(refused.value)


@pytest.mark.parametrize(
    ("manners", "did"),
    [
        (Manners(echoes=False, takes_bias=False), "echo, many tokens: HTTP 400"),
        (Manners(shifted=True, takes_bias=False), "the log-probabilities belong to other tokens"),
        (Manners(echoes=False, biased_logprobs=True), "bias, single tokens: the log-probabilities"),
        (Manners(silent=True), "a text's next token: it has no log-probabilities"),
    ],
)
def test_a_server_that_cannot_is_refused_with_what_it_did_and_what_to_use(
    manners: Manners, did: str, peer: Peer, choice: RemoteChoice
) -> None:
    peer.manners = manners
    said = refusal(choice)
    assert did in said
    assert "use vLLM, SGLang" in said


@pytest.mark.parametrize("takes_tokens", [True, False])
def test_a_server_with_another_tokenizer_is_refused(
    takes_tokens: bool, peer: Peer, choice: RemoteChoice, tmp_path: Path
) -> None:
    other = Tokenizer(models.BPE())
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    other.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    other.train_from_iterator(
        ["a b c d"], trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False)
    )
    other.save(str(tmp_path / "tokenizer.json"))
    peer.manners.takes_tokens = takes_tokens
    said = refusal(replace(choice, tokenizer=str(tmp_path / "tokenizer.json")))
    assert "KGT_TOKENIZER must be the tokenizer of the model that is served" in said


def test_a_server_that_is_not_there_is_said(choice: RemoteChoice) -> None:
    nobody = ModelAddress.parse("openai+http://127.0.0.1:9/v1#tiny")
    said = refusal(replace(choice, address=nobody, patience_s=0.0))
    assert "start it first" in said


def test_a_refused_key_is_said(peer: Peer, choice: RemoteChoice) -> None:
    peer.manners.key = "opensesame"
    assert "set KGT_MODEL_KEY" in refusal(choice)


def test_a_name_that_the_server_does_not_have_is_said_with_those_it_has(
    choice: RemoteChoice,
) -> None:
    said = refusal(replace(choice, address=replace(choice.address, name="huge")))
    assert "after #: tiny" in said


def test_the_only_model_needs_no_name(peer: Peer, choice: RemoteChoice) -> None:
    model = connected(replace(choice, address=replace(choice.address, name="")), _keys)
    assert {asked["model"] for asked in peer.asked} == {"tiny"}
    model.close()


def test_a_server_that_lists_no_models_is_asked_by_the_name_given(
    peer: Peer, choice: RemoteChoice
) -> None:
    peer.manners.lists_models = False
    connected(choice, _keys).close()
    assert "name one of the server's models" in refusal(
        replace(choice, address=replace(choice.address, name=""))
    )


def _keys() -> FixedModel:
    return FixedModel({})
