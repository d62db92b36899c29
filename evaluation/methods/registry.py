"""Every system of the paper's tables by name: one line each.

To add one, write its factory and give it a line. Systems with the same `unedited` are the same
before their first edit, so what they answer then is asked once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.methods.in_context import InContext, NearestCases
from evaluation.methods.kgt import Kgt, Way
from evaluation.methods.method import Method
from evaluation.methods.plain import ModelAlone
from evaluation.methods.setting import EvalModel
from evaluation.methods.weights.catalog import WEIGHT_METHODS, Factory
from evaluation.methods.weights.edited import Plan
from evaluation.methods.weights.layers import Layers, layers_text
from server.errors import StartupError
from server.tuning.personalize.command import RelationSource

ALL = "all"
_LAYERS = " (layers "
ALONE, FLOAT32 = "model alone", "model alone in float32"
"""Systems before an edit: the shared weights, and the copies that are edited."""


class UnknownMethod(StartupError):
    """No method has this name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a system is made, and what it is before its first edit.

    `make` is given the name that the tables show. `edits` is whether it ever changes anything.
    """

    make: Callable[[str, EvalModel], Method]
    unedited: str
    edits: bool = True


def _kgt(way: Way) -> Entry:
    mode = "literal" if way.literal else "default"
    subject = "labelled" if way.labelled else "found"
    unedited = f"graph, {mode}, subject {subject}"
    return Entry(lambda name, model: Kgt(name, model, way), unedited, way.edits)


def _weights(factory: Factory, layers: Layers = ()) -> Entry:
    def made(_: str, model: EvalModel) -> Method:
        plan = Plan(layers, kept=model.kept, answer_tokens=model.settings.max_tokens)
        return factory(model.choice, plan)

    return Entry(made, FLOAT32)


def at_layers(name: str, layers: Layers) -> tuple[str, Entry]:
    """A method of WEIGHT_METHODS that edits these layers, and the name of its row."""
    return f"{name}{_LAYERS}{layers_text(layers)})", _weights(WEIGHT_METHODS[name], layers)


def without_layers(name: str) -> str:
    """The method that a row is of, whichever layers it edits."""
    return name.partition(_LAYERS)[0]


METHODS: Mapping[str, Entry] = {
    "KGT literal": _kgt(Way(literal=True, labelled=True)),
    "KGT literal with subject found": _kgt(Way(literal=True, labelled=False)),
    "KGT literal with relations ranked": _kgt(
        Way(literal=True, labelled=True, source=RelationSource.RANKED)
    ),
    "KGT literal with relation given": _kgt(Way(literal=True, labelled=True, given=True)),
    "KGT default": _kgt(Way(literal=False, labelled=False)),
    "KGT default with subject labelled": _kgt(Way(literal=False, labelled=True)),
    "KGT default with relations ranked": _kgt(
        Way(literal=False, labelled=False, source=RelationSource.RANKED)
    ),
    "KGT default with relation given": _kgt(Way(literal=False, labelled=False, given=True)),
    "no edit": _kgt(Way(literal=True, labelled=True, edits=False)),
    "model alone": Entry(lambda name, model: ModelAlone(name, model.plain), ALONE, edits=False),
    "in-context": Entry(lambda name, model: InContext(name, model.plain), ALONE),
    "nearest cases": Entry(lambda name, model: NearestCases(name, model.plain), ALONE),
    **{name: _weights(factory) for name, factory in WEIGHT_METHODS.items()},
}


def chosen(names: Sequence[str]) -> dict[str, Entry]:
    """The systems of these names, in the order of METHODS. Raises UnknownMethod."""
    for name in names:
        if name != ALL and name not in METHODS:
            known = ", ".join([ALL, *METHODS])
            raise UnknownMethod(f"no method is called {name!r}; the methods are: {known}")
    return {name: one for name, one in METHODS.items() if ALL in names or name in names}
