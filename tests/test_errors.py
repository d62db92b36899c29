"""The tree that server/errors.py opens with, next to the classes that there are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import kgload
import server
import training
from server import errors
from server.errors import KgtError

PACKAGES = (server, kgload, training)
BRANCH = re.compile(r"(?P<indent>[│ ]*)[├└]── (?P<name>\w+)(?P<rest>.*)")
WHERE = re.compile(r"\(((?:server|kgload|training)\.[\w.]+)\)")

Drawn = tuple[str, str, str]
"""An error's name, its parent's, and the module that defines it."""


def drawn() -> Iterator[Drawn]:
    """The tree in the docstring."""
    parents = ["KgtError"]
    for line in (errors.__doc__ or "").splitlines():
        if branch := BRANCH.match(line):
            depth = len(branch["indent"]) // 4 + 1
            module = WHERE.search(branch["rest"])
            yield branch["name"], parents[depth - 1], module[1] if module else errors.__name__
            parents[depth:] = [branch["name"]]


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def exceptions() -> Iterator[type[BaseException]]:
    """The public exceptions that the packages define."""
    for module in modules():
        for name, value in vars(module).items():
            is_exception = inspect.isclass(value) and issubclass(value, BaseException)
            if is_exception and value.__module__ == module.__name__ and not name.startswith("_"):
                yield value


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    defined = {
        (kind.__name__, kind.__bases__[0].__name__, kind.__module__)
        for kind in exceptions()
        if issubclass(kind, KgtError) and kind is not KgtError
    }
    assert set(drawn()) == defined
    assert len(list(drawn())) == len(defined), "each once"


def test_every_other_exception_is_named_below_the_tree() -> None:
    below = (errors.__doc__ or "").rpartition("more exceptions")[2]
    others = {kind.__name__ for kind in exceptions() if not issubclass(kind, KgtError)}
    assert set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", below)) == others
