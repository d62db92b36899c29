"""The sizes and shapes that keep the source readable (CONTRIBUTING.md, "Style")."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 400
MOST_CLASS_LINES = 200
MOST_BRANCHES = 8
STATEMENTS = {
    "server/stores/sqlite/sql.py",
    "server/stores/neo4j/cypher.py",
    "kgload/queries.py",
}
"""Tables of statements may be long: one looks a statement up by its name."""
STORES = ("server/stores/sqlite/", "server/stores/neo4j/")
"""Each of the two stores is one class with one short method for each method of the port."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case, ast.IfExp)


def sources() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    found = listed.stdout.split() or [
        str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py") if ".venv" not in p.parts
    ]
    return [p for p in found if not p.startswith("kgt/v1/") and (ROOT / p).exists()]


def problems_of(path: str) -> Iterator[str]:
    """What makes `path` hard to read, a sentence each."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    if len(lines) > MOST_LINES and path not in STATEMENTS and not path.startswith(STORES):
        yield f"{path} has {len(lines)} lines; split it, at most {MOST_LINES}"
    comments = [
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and not path.startswith(STORES):
            if (length := _length(node)) > MOST_CLASS_LINES:
                yield f"{path}:{node.lineno} {node.name} has {length} lines, not {MOST_CLASS_LINES}"
        elif isinstance(node, COMPREHENSIONS):
            if any(isinstance(inner, COMPREHENSIONS) for inner in _below(node)):
                yield f"{path}:{node.lineno} has a comprehension inside a comprehension"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            branches = sum(isinstance(inner, BRANCHES) for inner in _own(node))
            own = [line for line in comments if node.lineno < line <= (node.end_lineno or 0)]
            if branches > MOST_BRANCHES and len(own) < 2:
                yield f"{path}:{node.lineno} {node.name}: {branches} branches, no steps named"


def _length(node: ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node`, except what a lambda holds: that is run another time."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.Lambda):
            yield from _below(child)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


def test_the_source_is_readable() -> None:
    found = [problem for path in sources() for problem in problems_of(path)]
    assert not found, "\n".join(found)


def test_no_line_is_longer_than_100_columns() -> None:
    wide = [
        f"{path}:{number}"
        for path in sources()
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 100
    ]
    assert not wide, "\n".join(wide)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = [a for b in [c for c in d] for a in b]\n", "comprehension inside"),
        ("\n" * MOST_LINES + "x = 1\n", "lines; split it"),
        ("class A:\n" + "    x = 1\n" * MOST_CLASS_LINES, "A has 201 lines"),
        ("def f():\n" + "    if x:\n        pass\n" * 9, "9 branches"),
    ],
)
def test_what_is_hard_to_read_is_found(
    source: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "a.py").write_text(source)
    assert re.search(problem, "\n".join(problems_of("a.py")))
