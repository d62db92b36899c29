"""Which signatures and keys of tokens can be set."""

from __future__ import annotations

import pytest

from server.errors import InvalidSetting
from server.settings import read_settings


@pytest.mark.parametrize("named", ["none", "RS256,none", "HS256", "RS256,HS512", ",", "ES256K"])
def test_only_signatures_of_private_keys_can_be_allowed(named: str) -> None:
    with pytest.raises(InvalidSetting, match="KGT_AUTH_ALGORITHMS: is a list of"):
        read_settings(["--auth-algorithms", named])
    rules = read_settings(["--auth-algorithms", "PS512, EdDSA"]).token_rules
    assert rules.algorithms == {"PS512", "EdDSA"}


@pytest.mark.parametrize(
    ("keys", "fetched"),
    [
        ("https://issuer.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("keys.json", False),
        ("C:/keys.json", False),
    ],
)
def test_keys_are_a_file_or_an_address(keys: str, fetched: bool) -> None:
    assert read_settings(["--auth-keys", keys]).keys_have_an_address is fetched
