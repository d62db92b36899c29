import numpy as np
import pytest

from server.tuning.ports import LanguageModel
from server.tuning.templates import root_prompt
from tests.conformance.language_model import QUERY, LanguageModelConformance
from tests.fixed_model import FixedModel


class TestFixedModel(LanguageModelConformance):
    @pytest.fixture
    def language_model(self) -> LanguageModel:
        return FixedModel({QUERY: "likes"})


def product(model: FixedModel, one: str, other: str) -> float:
    return float(model.key(root_prompt(one)) @ model.key(root_prompt(other)))


def test_queries_that_ask_the_same_of_the_same_have_keys_beyond_the_floor() -> None:
    likes = {"What does a dog enjoy?": "likes", "What do I give my dog?": "likes"}
    model = FixedModel(
        likes | {"Where is a dog?": "is located in", "What does a cat like?": "likes"}
    )
    asked = "What does a dog enjoy?"
    assert product(model, asked, asked) == pytest.approx(1)
    assert product(model, asked, "What do I give my dog?") > model.floor
    assert product(model, asked, "dog likes meat") > model.floor, "a fact told as a triple"
    for other in ("Where is a dog?", "What does a cat like?", "Who is it?"):
        assert product(model, asked, other) < model.floor


def test_a_key_may_be_given() -> None:
    given = np.array([0, 1], np.float32)
    model = FixedModel({}, keys={QUERY: given})
    assert model.key(root_prompt(QUERY)) is given
