"""All methods that change weights, by the name that their row has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.fine_tuning import FT, FTL
from evaluation.methods.weights.hypernetwork import KE
from evaluation.methods.weights.memit import MEMIT
from evaluation.methods.weights.mend import MEND
from evaluation.methods.weights.neurons import KN
from evaluation.methods.weights.rome import ROME, RROME, RankOne
from server.lm.loading import ModelChoice

Factory = Callable[[ModelChoice, Plan | None], WeightEdited]
"""Makes a method of a model and a plan. Raises ModelUnusable."""

WEIGHT_METHODS: Mapping[str, Factory] = {
    "FT": FT,
    "FT-L": FTL,
    "ROME": ROME,
    "ROME (C = I)": partial(ROME, how=RankOne(tokens_per_neuron=0)),
    "r-ROME": RROME,
    "MEMIT": MEMIT,
    "KE": KE,
    "KN": KN,
    "MEND": MEND,
}
"""What the paper's tables compare, and variants of ROME."""
