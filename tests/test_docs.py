"""What the code has, the documents name. Some things no file may name."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

import evaluation.__main__
import kgt.command.parser
import server.commands
import training.__main__
from kgload.arguments import parser
from kgt.v1 import personalization_pb2 as pb
from server.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RPCS = [method.name for method in pb.DESCRIPTOR.services_by_name["PersonalizationService"].methods]
TARGETS = sorted(
    set(
        re.findall(
            r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    - {"help"}
)


def subcommands(parser: argparse.ArgumentParser) -> list[str]:
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return list(action.choices)


@pytest.mark.parametrize("rpc", RPCS)
def test_the_readme_names_every_rpc(rpc: str) -> None:
    assert f"`{rpc}" in README


@pytest.mark.parametrize("setting", [f"KGT_{name.upper()}" for name in Settings.model_fields])
def test_the_readme_names_every_setting(setting: str) -> None:
    assert f"`{setting}`" in README


def test_the_readme_names_only_settings_that_exist() -> None:
    known = {f"KGT_{name.upper()}" for name in Settings.model_fields} | {
        *("KGT_USER", "KGT_SERVER", "KGT_TOKEN", "KGT_TOKEN_FILE", "KGT_TLS_CA")
    }
    of_compose = set(re.findall(r"\$\{(KGT_[A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert set(re.findall(r"\bKGT_[A-Z_]+\b", README)) <= known | of_compose


@pytest.mark.parametrize("command", subcommands(kgt.command.parser.parser()))
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"`(kgt )?{command}\b", README)


@pytest.mark.parametrize("command", subcommands(parser()))
def test_the_readme_names_every_loader(command: str) -> None:
    assert re.search(rf"python -m kgload {command}\b|kgload starter.* or: {command} ", README)


@pytest.mark.parametrize("target", TARGETS)
def test_the_guides_name_every_target(target: str) -> None:
    assert re.search(rf"\bmake {target}\b", GUIDES)


@pytest.mark.parametrize(
    "command",
    [
        *(f"python -m evaluation {name}" for name in subcommands(evaluation.__main__._parser())),
        *(f"python -m training {name}" for name in subcommands(training.__main__._parser())),
        *(f"python -m server {name}" for name in subcommands(server.commands.parser())),
    ],
)
def test_some_document_says_how_everything_else_is_run(command: str) -> None:
    documents = [*ROOT.glob("*.md"), ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")]
    # The Makefile runs them as $(RUN), its interpreter.
    texts = [path.read_text(encoding="utf-8").replace("$(RUN)", "python") for path in documents]
    assert any(command in text for text in texts)


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in [
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "clients").glob("*/*.md"),
        ]
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if "://" not in link and not (path.parent / link).exists()
    ]
    assert broken == []


# What no file names


REGISTRIES = [
    "".join(parts)
    for parts in (
        ("pypi.", "org"),
        ("files.python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("static.crates.", "io"),
        ("proxy.golang.", "org"),
        ("repo.maven.", "apache.org"),
        ("repo1.", "maven.org"),
    )
]
MACHINE_FOLDERS = ("work", "root", "farm", "opt/wheels")
MACHINE_PATH = re.compile(rf"(?<![\w.~/}}-])/(?:{'|'.join(MACHINE_FOLDERS)})(?![\w-])")


def tracked_texts() -> Sequence[tuple[str, str]]:
    """(name, text) of every text file under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    texts = []
    for name in filter(None, listed.stdout.split("\0")):
        try:
            texts.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts


def test_no_file_names_a_package_registry() -> None:
    assert [
        (name, host) for name, text in tracked_texts() for host in REGISTRIES if host in text
    ] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        (name, match.group())
        for name, text in tracked_texts()
        if name != here
        for match in MACHINE_PATH.finditer(text)
    ]
    assert found == []
