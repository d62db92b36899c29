import pytest

from server.tuning.ports import LanguageModel
from tests.conformance.language_model import QUERY, LanguageModelConformance
from tests.fixed_model import FixedModel


class TestFixedModel(LanguageModelConformance):
    @pytest.fixture
    def language_model(self) -> LanguageModel:
        return FixedModel({QUERY: "likes"})
