"""Tries layers for methods that edit weights, as the command's options say."""

from __future__ import annotations

import argparse
import contextlib
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evaluation.methods.method import EditCase
from evaluation.methods.setting import EvalModel
from evaluation.methods.weights.catalog import WEIGHT_METHODS
from evaluation.methods.weights.edited import Plan, WeightEdited
from evaluation.methods.weights.layers import Layers, spread
from evaluation.methods.weights.sweep import tried
from evaluation.paper.pararel import ParaRel
from evaluation.paper.preparing import drawn, setup_of
from evaluation.paper.progress import ProgressBar
from evaluation.paper.running import machine
from evaluation.paper.sweeps import Sweep, Sweeps
from server.errors import StartupError

_DEPTHS = 5
"""Where no layers are named, so many depths are tried besides the published layers."""


class UnsweptMethod(StartupError):
    """A method does not edit weights, a layer is not in the model, or no case is left to try on."""


@dataclass(frozen=True, slots=True)
class _Cases:
    held_out: Sequence[EditCase]
    """Edited with each of the candidates."""
    to_learn: Sequence[EditCase]


def sweep_all(options: argparse.Namespace, bar: ProgressBar) -> list[Sweep]:
    """Try layers for each of the methods. What an earlier sweep tried is not tried again."""
    for name in options.method:
        if name not in WEIGHT_METHODS:
            known = ", ".join(WEIGHT_METHODS)
            raise UnsweptMethod(f"{name!r} edits no layers; those that do: {known}")
    with drawn(options, ParaRel(options.data)) as (found, model):
        sweeps = Sweeps(options.out, setup_of(options, model, found.digest))
        model.release()  # each method has weights of its own
        cases = _Cases(found.outside[: options.cases], found.outside[options.cases :])
        if not cases.held_out:
            raise UnsweptMethod("no case is outside of the test set, so no layer can be tried")
        return [_swept(name, model, cases, sweeps, options, bar) for name in options.method]


def _swept(
    name: str,
    model: EvalModel,
    cases: _Cases,
    sweeps: Sweeps,
    options: argparse.Namespace,
    bar: ProgressBar,
) -> Sweep:
    with contextlib.closing(WEIGHT_METHODS[name](model.choice, Plan(kept=model.kept))) as method:
        sweep = Sweep(
            sweeps.setup, name, method.published_layers(), tuple(c.id for c in cases.held_out)
        )
        before = sweeps.of(name)
        if before is not None and before.cases == sweep.cases:
            sweep = before
        known = [one.layers for one in sweep.tried]
        missing = [layers for layers in _candidates(method, options) if layers not in known]
        bar.begin(f"{name}: layers", len(missing), 0.0)
        for layers in missing:
            one = tried(method, layers, cases.to_learn, cases.held_out)
            sweep = replace(
                sweep,
                tried=(*sweep.tried, one),
                command=options.command_line,
                machine=machine(),
                date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
            )
            sweeps.write(sweep)
            bar.step()
    return sweep


def _candidates(method: WeightEdited, options: argparse.Namespace) -> list[Layers]:
    """The layers that the options name, or some at each depth; the published ones are the first."""
    published, depth = method.published_layers(), method.model.depth
    if not options.layers:
        return spread(published, depth, _DEPTHS)
    candidates = list(dict.fromkeys([published, *options.layers]))
    if max(map(max, candidates)) >= depth:
        raise UnsweptMethod(
            f"the model's layers are 0 to {depth - 1}; name none above with --layers"
        )
    return candidates
