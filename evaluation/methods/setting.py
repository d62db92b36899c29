"""What every system is made from: one model, one base graph, and what the data says of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.methods.plain import ANSWER_TOKENS, PlainModel
from server.assemble import model_choice
from server.lm.device import NumberFormat
from server.lm.loading import LoadedModel, ModelChoice, load
from server.lm.transformers_model import TransformersModel

if TYPE_CHECKING:
    from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Labels:
    """What the data says about prompts: which subject and which relation each is about."""

    subjects: Mapping[str, str] = field(default_factory=dict)
    """The subject, by prompt."""
    relations: Mapping[str, str] = field(default_factory=dict)
    """The relation's name in the data, such as "native language", by prompt."""


class EvalModel:
    """The model that systems are built on. Its weights are loaded once, and none is changed.

    `settings` name the model, the store and its folder, which holds the base graph. A system that
    edits weights takes its own copy with `fresh`. What a system learns once for this model it may
    keep in the folder `kept`, in a file that says what it was learnt from. No system writes more
    than `answer_tokens`, or what is answered as before would depend on the system.
    """

    def __init__(
        self,
        settings: Settings,
        kept: Path,
        labels: Labels | None = None,
        answer_tokens: int = ANSWER_TOKENS,
    ) -> None:
        self.settings = settings.model_copy(update={"max_tokens": answer_tokens})
        self.kept = kept
        self.labels = labels or Labels()

    @property
    def choice(self) -> ModelChoice:
        """Which model this is, for whoever loads it themselves."""
        return model_choice(self.settings)

    def fresh(self, number_format: NumberFormat = "float32") -> LoadedModel:
        """A copy of the model that is the caller's own. Raises ModelUnusable."""
        return load(replace(self.choice, number_format=number_format))

    @cached_property
    def loaded(self) -> LoadedModel:
        """The shared weights, in the settings' number format."""
        return self.fresh(self.settings.dtype)

    @cached_property
    def plain(self) -> PlainModel:
        """The shared weights, asked directly."""
        return PlainModel(self.loaded, self.settings.max_tokens)

    @cached_property
    def service(self) -> TransformersModel:
        """The shared weights, asked as the service asks them."""
        return TransformersModel(self.loaded)

    def release(self) -> None:
        """Stop the service's threads and drop the shared weights. The next use loads them again."""
        if "service" in self.__dict__:
            self.service.close()
        for name in ("service", "plain", "loaded"):
            self.__dict__.pop(name, None)
