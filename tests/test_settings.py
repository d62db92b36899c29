"""Every setting is an environment variable and a flag, is checked, and says what is wrong with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from server.errors import InvalidSetting
from server.settings import Settings, read_settings

ROOT = Path(__file__).parent.parent
OTHER_VALUES: dict[str, Any] = {
    "address": "127.0.0.1:1234",
    "insecure_bind": True,
    "store": "neo4j://127.0.0.1:7687",
    "neo4j_user": "someone",
    "neo4j_password": SecretStr("some-password"),
    "neo4j_database": "some-database",
    "data": Path("some/data"),
    "model": "some/model",
    "adapter": "none",
    "cache": Path("some/cache"),
    "device": "cpu",
    "dtype": "float32",
    "threads": 3,
    "queue": 7,
    "token_budget": 99,
    "vocabulary": Path("some/vocabulary.toml"),
    "k": 4,
    "facts": 6,
    "personal_weight": 1.5,
    "max_removed": 8,
    "scored_mass": 0.5,
    "max_scored_triples": 9,
    "normalization": "sum",
    "max_tokens": 11,
    "grace_s": 2.5,
    "log_level": "debug",
}
"""Of each setting a value that is not its default."""
WRONG_VALUES: dict[str, str] = {
    "address": "nowhere",
    "insecure_bind": "perhaps",
    "store": "http://127.0.0.1:7474",
    "device": "abacus",
    "dtype": "int3",
    "threads": "-1",
    "queue": "0",
    "token_budget": "many",
    "k": "21",
    "facts": "0",
    "personal_weight": "0.5",
    "max_removed": "-1",
    "scored_mass": "1.01",
    "max_scored_triples": "5000",
    "normalization": "median",
    "max_tokens": "0",
    "grace_s": "-1",
    "log_level": "loud",
}
TEXTS_AND_PATHS = {
    "neo4j_user",
    "neo4j_password",
    "neo4j_database",
    "data",
    "model",
    "adapter",
    "cache",
    "vocabulary",
}


def written(value: Any) -> str:
    """A setting as it is typed."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def flag(name: str) -> str:
    return f"{'-' if len(name) == 1 else '--'}{name.replace('_', '-')}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KGT_{name.upper()}", raising=False)


@pytest.fixture
def login(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Neo4j asks for a login beside its address."""
    if name == "store":
        monkeypatch.setenv("KGT_NEO4J_USER", "neo4j")
        monkeypatch.setenv("KGT_NEO4J_PASSWORD", "some-password")


def test_these_tests_know_every_setting() -> None:
    assert OTHER_VALUES.keys() == Settings.model_fields.keys()
    assert WRONG_VALUES.keys() | TEXTS_AND_PATHS == Settings.model_fields.keys()


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_setting_is_an_environment_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(read_settings([]), name) != OTHER_VALUES[name]
    monkeypatch.setenv(f"KGT_{name.upper()}", written(OTHER_VALUES[name]))
    assert getattr(read_settings([]), name) == OTHER_VALUES[name]


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_setting_is_a_flag_which_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(Settings(), name)
    if default is not None:
        monkeypatch.setenv(f"KGT_{name.upper()}", str(default))
    assert getattr(read_settings([flag(name), written(OTHER_VALUES[name])]), name) == OTHER_VALUES[name]


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_a_wrong_value_is_said_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KGT_{name.upper()}", WRONG_VALUES[name])
    with pytest.raises(InvalidSetting, match=f"KGT_{name.upper()}: "):
        read_settings([])
    monkeypatch.delenv(f"KGT_{name.upper()}")
    with pytest.raises(InvalidSetting, match=f"KGT_{name.upper()}: "):
        read_settings([flag(name), WRONG_VALUES[name]])


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidSetting) as failed:
        read_settings(["-k", "0", "--facts", "0", "--device", "abacus"])
    assert all(name in str(failed.value) for name in ("KGT_K", "KGT_FACTS", "KGT_DEVICE"))


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGT_K", "")
    monkeypatch.setenv("KGT_VOCABULARY", "")
    assert read_settings([]).k == Settings().k
    assert read_settings([]).vocabulary is None


def test_a_home_folder_is_found() -> None:
    assert read_settings(["--data", "~/store"]).data == Path.home() / "store"


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:1", "example.org:50051"])
def test_another_interface_needs_to_be_allowed(address: str) -> None:
    with pytest.raises(InvalidSetting, match="KGT_INSECURE_BIND=1"):
        read_settings(["--address", address])
    assert read_settings(["--address", address, "--insecure-bind", "true"]).address == address


@pytest.mark.parametrize("address", ["localhost:0", "127.0.0.1:50051", "127.8.8.8:1", "[::1]:50051"])
def test_this_machine_needs_no_permission(address: str) -> None:
    assert read_settings(["--address", address]).address == address


@pytest.mark.parametrize("address", ["127.0.0.1", ":50051", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(InvalidSetting, match="KGT_ADDRESS"):
        read_settings(["--address", address])


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().k = 3  # type: ignore[misc]


def test_a_secret_has_no_default_and_is_masked() -> None:
    secrets = [n for n in Settings.model_fields if any(w in n for w in ("password", "secret", "token_", "key"))]
    for name in set(secrets) - {"token_budget"}:
        field = Settings.model_fields[name]
        assert SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())), name
        assert field.default is None or field.is_required(), name


def test_help_lists_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "KGT_" in done.stdout
    shown = " ".join(done.stdout.split())
    for name, field in Settings.model_fields.items():
        assert f"{flag(name)} " in shown, name
        assert field.description
        assert field.description in shown, name
