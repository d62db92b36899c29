"""KGT_MODEL for a model on another server."""

from __future__ import annotations

import pytest

from server.lm.remote.address import ModelAddress


@pytest.mark.parametrize(
    ("model", "url", "name", "is_loopback", "is_encrypted"),
    [
        ("openai+https://host/v1#org/name", "https://host/v1", "org/name", False, True),
        ("openai+https://host:8443/v1/", "https://host:8443/v1", "", False, True),
        ("openai+http://127.0.0.1:8000/v1#m", "http://127.0.0.1:8000/v1", "m", True, False),
        ("openai+http://[::1]/v1#m", "http://[::1]/v1", "m", True, False),
        ("openai+http://localhost.example/v1#m", "http://localhost.example/v1", "m", False, False),
    ],
)
def test_an_address_has_a_url_and_a_name(
    model: str, url: str, name: str, is_loopback: bool, is_encrypted: bool
) -> None:
    assert ModelAddress.is_meant(model)
    found = ModelAddress.parse(model)
    assert (found.url, found.name) == (url, name)
    assert (found.is_loopback, found.is_encrypted) == (is_loopback, is_encrypted)


@pytest.mark.parametrize(
    "model",
    [
        "openai+ftp://host/v1#m",
        "openai+https://#m",
        "openai+https://user:opensesame@host/v1#m",
        "openai+https://host/v1?key=opensesame#m",
        "openai+https://[host/v1#m",
        "openai+https://host:port/v1#m",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(model: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        ModelAddress.parse(model)
    assert "opensesame" not in str(refused.value)


def test_other_models_are_not_meant() -> None:
    assert not any(
        map(ModelAddress.is_meant, ("smollm2", "org/name", "/models/openai+x", "x.gguf"))
    )
