"""A default stands in one place: settings, method and contract agree because they read it there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.lm import defaults
from server.rpc import limits
from server.rpc.rates import SERVICE_RATE, USER_RATE
from server.settings import Settings
from server.tuning.answer import AnswerRules
from server.tuning.facts import RetrievalRules
from server.tuning.personalize.command import PersonalizeCommand, PersonalizeRules
from server.tuning.scoring import ScoringBudget
from server.writing.quotas import Quotas

ROOT = Path(__file__).parent.parent
CONTRACT = (ROOT / "proto" / "kgt" / "v1" / "personalization.proto").read_text(encoding="utf-8")
PROGRAMS = ("server", "kgload", "kgt", "bench", "demo", "evaluation", "training")


@pytest.mark.parametrize(
    ("setting", "default"),
    {
        "k": PersonalizeRules().k,
        "max_removed": PersonalizeRules().max_removed,
        "scored_mass": ScoringBudget().mass,
        "facts": RetrievalRules().facts,
        "floor": RetrievalRules().floor,
        "normalization": AnswerRules().normalization,
        "max_tokens": AnswerRules().max_tokens,
        "queue": defaults.QUEUE,
        "prompt_share": defaults.PROMPT_SHARE,
        "user_rate": USER_RATE,
        "service_rate": SERVICE_RATE,
        "user_facts": Quotas().facts,
        "user_edits": Quotas().edits,
        "user_history_bytes": Quotas().history_bytes,
    }.items(),
)
def test_a_setting_has_the_methods_default(setting: str, default: object) -> None:
    assert Settings.model_fields[setting].default == default


def says(field: str, message: str) -> str:
    """The comment on a field of a message in the contract."""
    (body,) = re.findall(rf"^message {message} {{\n(.*?)^}}", CONTRACT, re.DOTALL | re.MULTILINE)
    comment = re.search(rf"((?: *//[^\n]*\n)+) *(?:optional )?\w+ {field} = \d+;", body)
    assert comment is not None
    return " ".join(line.strip(" /") for line in comment[1].splitlines())


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        ("PersonalizeOptions", "k", f"1 to {limits.MAX_K}. Default {PersonalizeRules().k}."),
        ("PersonalizeOptions", "scored_mass", f"Default {ScoringBudget().mass}."),
        ("PersonalizeOptions", "max_scored_triples", f"1 to {limits.MAX_SCORED_TRIPLES}."),
        (
            "PersonalizeOptions",
            "max_scored_triples",
            f"Default {defaults.PROCESSOR_SCORED_TRIPLES} on a CPU,"
            f" {defaults.GPU_SCORED_TRIPLES} on a GPU.",
        ),
        (
            "PersonalizeRequest",
            "verify",
            f"Default {str(PersonalizeCommand('u', 'q', 'a').verify).lower()}.",
        ),
        (
            "AnswerRequest",
            "max_tokens",
            f"1 to {limits.MAX_TOKENS}. Default {AnswerRules().max_tokens}.",
        ),
        ("AnswerRequest", "temperature", f"0 to {limits.MAX_TEMPERATURE:g}."),
    ],
)
def test_the_contract_says_the_default(message: str, field: str, words: str) -> None:
    assert words in says(field, message)


def test_the_contract_says_the_unspecified_values_meaning() -> None:
    rules = PersonalizeRules()
    for enum, default in (
        ("STOPPING", rules.stopping),
        ("REMOVAL", rules.removal),
        ("RELATION_SOURCE", rules.relation_source),
    ):
        meaning = f"// {enum}_{default.name}.\n  {enum}_UNSPECIFIED = 0;"
        assert meaning in CONTRACT


README = dict(
    re.findall(
        r"^\| `KGT_(\w+)` \|([^|]*)\|",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
"""The default of each setting, as the README's table writes it."""


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_readme_says_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    default = Settings.model_fields[name].get_default(call_default_factory=True, validated_data={})
    match default:
        case None | "":
            told = ["", "built in"]
        case bool():
            told = ["on" if default else "off"]
        case float():
            told = [f"{default:g}"]
        case _:
            told = [str(default)]
    assert README[name.upper()].strip(" `") in told


def test_no_program_reads_a_setting_from_the_environment_itself() -> None:
    """Settings, and the client's addresses, do; see the docstring of server/settings.py."""
    reads = re.compile(r"environ\W+(?:get\W+)?(KGT_\w+)")
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for program in PROGRAMS
        for path in (ROOT / program).rglob("*.py")
        for name in reads.findall(path.read_text(encoding="utf-8"))
    ]
    assert found == []
