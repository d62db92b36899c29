"""Every setting is a variable and a flag, is checked, and says what is wrong with its value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr, ValidationError

from server.errors import InvalidSetting
from server.settings import Settings, read_settings

ROOT = Path(__file__).parent.parent
OTHER_VALUES: dict[str, Any] = {
    "address": "127.0.0.1:1234",
    "store": "bolt://localhost:7687",
    "neo4j_user": "somebody",
    "neo4j_password": SecretStr("opensesame"),
    "neo4j_database": "other",
    "insecure_bind": True,
    "data": Path("some/data"),
    "model": "some/model",
    "model_key": SecretStr("opensesame"),
    "tokenizer": "some/tokenizer",
    "insecure_model": True,
    "adapter": "none",
    "cache": Path("some/cache"),
    "device": "cpu",
    "dtype": "float32",
    "threads": 3,
    "queue": 7,
    "token_budget": 99,
    "prompt_share": 0.7,
    "vocabulary": Path("some/vocabulary.toml"),
    "k": 4,
    "facts": 6,
    "floor": 0.7,
    "max_removed": 8,
    "scored_mass": 0.5,
    "max_scored_triples": 9,
    "normalization": "sum",
    "max_tokens": 11,
    "auth": "jwt",
    "auth_issuer": "https://issuer.example",
    "auth_audience": "kgt",
    "auth_keys": "some/keys.json",
    "auth_algorithms": "ES384",
    "auth_leeway_s": 5.0,
    "auth_names": Path("some/names.toml"),
    "tls_certificate": Path("some/server.crt"),
    "tls_key": Path("some/server.key"),
    "tls_client_ca": Path("some/clients.crt"),
    "user_rate": "5/second; 100/minute",
    "service_rate": "none",
    "calls": 12,
    "user_calls": 13,
    "exports": 14,
    "user_exports": 26,
    "imports": 15,
    "user_imports": 27,
    "max_message_bytes": 1 << 17,
    "max_text_bytes": 16,
    "user_facts": 17,
    "user_edits": 18,
    "user_history_bytes": 19,
    "connections": 20,
    "connection_calls": 21,
    "connection_age_s": 22.0,
    "connection_grace_s": 23.0,
    "keepalive_s": 24.0,
    "stalled_s": 25.0,
    "grace_s": 2.5,
    "log_level": "debug",
    "log_format": "json",
    "otlp_endpoint": "https://collector:4317",
    "metrics_address": "127.0.0.1:9464",
}
"""A value for each setting that is not its default."""
WRONG_VALUES: dict[str, str] = {
    "address": "nowhere",
    "model": "openai+ftp://host/v1#name",
    "insecure_model": "perhaps",
    "store": "oracle",
    "insecure_bind": "perhaps",
    "device": "abacus",
    "dtype": "int3",
    "threads": "-1",
    "queue": "0",
    "token_budget": "many",
    "prompt_share": "0",
    "k": "21",
    "facts": "0",
    "floor": "1.5",
    "max_removed": "-1",
    "scored_mass": "1.01",
    "max_scored_triples": "5000",
    "normalization": "median",
    "max_tokens": "0",
    "auth": "password",
    "auth_keys": "http://issuer.example/keys",
    "auth_algorithms": "HS256",
    "auth_leeway_s": "301",
    "user_rate": "often",
    "service_rate": "5/fortnight",
    "calls": "0",
    "user_calls": "0",
    "exports": "0",
    "user_exports": "0",
    "imports": "0",
    "user_imports": "0",
    "max_message_bytes": "4194305",
    "max_text_bytes": "262145",
    "user_facts": "0",
    "user_edits": "50000",
    "user_history_bytes": "33554432",
    "connections": "0",
    "connection_calls": "0",
    "connection_age_s": "0",
    "connection_grace_s": "-1",
    "keepalive_s": "0",
    "stalled_s": "0",
    "grace_s": "-1",
    "log_level": "loud",
    "log_format": "xml",
    "otlp_endpoint": "collector:4317",
    "metrics_address": "9464",
}
TEXTS_AND_PATHS = {
    "data",
    "model_key",
    "tokenizer",
    "adapter",
    "cache",
    "vocabulary",
    "neo4j_user",
    "neo4j_password",
    "neo4j_database",
    "auth_issuer",
    "auth_audience",
    "auth_names",
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
}
NEEDED_WITH_A_NEO4J = ("neo4j_user", "neo4j_password")
NEEDED = (
    *NEEDED_WITH_A_NEO4J,
    *("auth_issuer", "auth_audience", "auth_keys", "tls_certificate", "tls_key"),
)
"""Settings without which others are refused."""


def flag(name: str) -> str:
    return f"{'-' if len(name) == 1 else '--'}{name.replace('_', '-')}"


def given(name: str) -> str:
    """The other value as a user types it."""
    value = OTHER_VALUES[name]
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"KGT_{name.upper()}", raising=False)
    monkeypatch.delenv("KGT_SERVER", raising=False)


def test_these_tests_know_every_setting() -> None:
    assert OTHER_VALUES.keys() == Settings.model_fields.keys()
    assert WRONG_VALUES.keys() | TEXTS_AND_PATHS == Settings.model_fields.keys()


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_setting_is_an_environment_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(read_settings([]), name) != OTHER_VALUES[name]
    for needed in NEEDED:
        monkeypatch.setenv(f"KGT_{needed.upper()}", given(needed))
    monkeypatch.setenv(f"KGT_{name.upper()}", given(name))
    assert getattr(read_settings([]), name) == OTHER_VALUES[name]


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_setting_is_a_flag_which_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = getattr(Settings(), name)
    for needed in NEEDED:
        monkeypatch.setenv(f"KGT_{needed.upper()}", given(needed))
    if default is not None and name not in NEEDED:
        monkeypatch.setenv(f"KGT_{name.upper()}", str(default))
    assert getattr(read_settings([flag(name), given(name)]), name) == OTHER_VALUES[name]


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_a_wrong_value_is_reported_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KGT_{name.upper()}", WRONG_VALUES[name])
    with pytest.raises(InvalidSetting, match=f"KGT_{name.upper()}: "):
        read_settings([])
    monkeypatch.delenv(f"KGT_{name.upper()}")
    with pytest.raises(InvalidSetting, match=f"KGT_{name.upper()}: "):
        read_settings([flag(name), WRONG_VALUES[name]])


def test_texts_and_key_travel_unencrypted_only_on_this_machine_or_with_consent() -> None:
    assert read_settings(["--model", "openai+http://127.0.0.1:8000/v1#m"]).remote_model
    assert read_settings(["--model", "openai+https://host/v1#m"]).remote_model
    with pytest.raises(InvalidSetting, match="KGT_INSECURE_MODEL"):
        read_settings(["--model", "openai+http://host/v1#m"])
    assert read_settings(["--model", "openai+http://host/v1#m", "--insecure-model", "1"])
    assert read_settings(["--model", "some/model"]).remote_model is None


def test_everything_wrong_is_reported_at_once() -> None:
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


@pytest.mark.parametrize(
    "address", ["0.0.0.0:50051", "[::]:50051", "192.0.2.1:1", "example.org:50051"]
)
def test_another_interface_needs_to_be_allowed(address: str) -> None:
    with pytest.raises(InvalidSetting, match="KGT_INSECURE_BIND=1"):
        read_settings(["--address", address])
    assert read_settings(["--address", address, "--insecure-bind", "true"]).address == address


JWT = ["--auth", "jwt", "--auth-issuer", "i", "--auth-audience", "a", "--auth-keys", "keys"]
TLS = ["--tls-certificate", "c", "--tls-key", "k"]
MTLS = ["--auth", "mtls", "--auth-names", "n", *TLS, "--tls-client-ca", "ca"]


@pytest.mark.parametrize("proof", [[*JWT, *TLS], MTLS])
def test_another_interface_is_allowed_with_identity_and_tls(proof: list[str]) -> None:
    assert read_settings(["--address", "0.0.0.0:50051", *proof]).address == "0.0.0.0:50051"


@pytest.mark.parametrize("half", [JWT, TLS, [*TLS, "--tls-client-ca", "ca"]])
def test_half_of_that_is_not_enough(half: list[str]) -> None:
    with pytest.raises(InvalidSetting, match="KGT_AUTH and KGT_TLS_CERTIFICATE"):
        read_settings(["--address", "0.0.0.0:50051", *half])
    assert read_settings(["--address", "127.0.0.1:50051", *half])
    assert read_settings(["--address", "0.0.0.0:50051", "--insecure-bind", "true", *half])


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--auth", "jwt"], "KGT_AUTH_ISSUER, KGT_AUTH_AUDIENCE, KGT_AUTH_KEYS"),
        (JWT[:-2], "KGT_AUTH_KEYS"),
        (["--auth", "mtls"], "KGT_AUTH_NAMES, KGT_TLS_CERTIFICATE, KGT_TLS_CLIENT_CA"),
        (["--tls-certificate", "c"], "KGT_TLS_KEY"),
        (["--tls-key", "c"], "KGT_TLS_CERTIFICATE"),
        (["--tls-client-ca", "c"], "KGT_TLS_CERTIFICATE"),
    ],
)
def test_what_is_missing_of_an_identity_is_named(arguments: list[str], missing: str) -> None:
    with pytest.raises(InvalidSetting, match=missing):
        read_settings(arguments)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:0",
        "LOCALHOST.:1",
        "127.0.0.1:50051",
        "127.8.8.8:1",
        "[::1]:50051",
        "[::ffff:127.0.0.1]:1",
    ],
)
def test_this_machine_needs_no_permission(address: str) -> None:
    assert read_settings(["--address", address]).address == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", ":50051", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1:\uff15",
     "127.1:50051", "::1:50051", "unix:/run/kgt.sock"],
)  # fmt: skip
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(InvalidSetting, match="KGT_ADDRESS"):
        read_settings(["--address", address])


def test_the_clients_variable_names_the_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGT_SERVER", "127.0.0.1:1234")
    assert read_settings([]).address == "127.0.0.1:1234"
    assert read_settings(["--address", "127.0.0.1:1"]).address == "127.0.0.1:1", (
        "a flag counts before variables"
    )
    monkeypatch.setenv("KGT_ADDRESS", "127.0.0.1:1234")
    assert read_settings([]).address == "127.0.0.1:1234"


def test_variables_that_name_different_servers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGT_SERVER", "127.0.0.1:1234")
    monkeypatch.setenv("KGT_ADDRESS", "127.0.0.1:4321")
    with pytest.raises(InvalidSetting, match="KGT_ADDRESS and KGT_SERVER name different servers"):
        read_settings([])
    assert read_settings(["--address", "127.0.0.1:1"]).address == "127.0.0.1:1"


@pytest.mark.parametrize(
    "address", ["[::]:50051", "[::ffff:192.0.2.1]:1", "localhost.example.org:1"]
)
def test_the_clients_variable_is_checked_as_the_server_s(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGT_SERVER", address)
    with pytest.raises(InvalidSetting, match="KGT_INSECURE_BIND=1"):
        read_settings([])


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().k = 3  # type: ignore[misc]


def test_secrets_have_no_default_and_are_masked() -> None:
    secrets = [
        name
        for name, field in Settings.model_fields.items()
        # A path is not a secret: what is in the file is.
        if name.endswith(("password", "secret", "_key", "_token"))
        and Path not in (field.annotation, *get_args(field.annotation))
    ]
    assert secrets == ["neo4j_password", "model_key"]
    for name in secrets:
        field = Settings.model_fields[name]
        assert SecretStr in get_args(field.annotation)
        assert field.default is None
        settings = read_settings([flag(name), "opensesame"])
        assert (
            "opensesame"
            not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
        )


@pytest.mark.parametrize("missing", NEEDED_WITH_A_NEO4J)
def test_a_neo4j_needs_a_login_and_what_is_wrong_does_not_show_it(missing: str) -> None:
    login = [
        text
        for name in NEEDED_WITH_A_NEO4J
        if name != missing
        for text in (flag(name), given(name))
    ]
    with pytest.raises(InvalidSetting, match=f"KGT_{missing.upper()}") as failed:
        read_settings(["--store", "neo4j://127.0.0.1:7687", *login])
    assert "opensesame" not in str(failed.value)


def test_help_lists_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "KGT_" in done.stdout
    shown = " ".join(done.stdout.split())
    for name, field in Settings.model_fields.items():
        assert f"{flag(name)} " in shown, name
        assert field.description
        assert field.description in shown, name
