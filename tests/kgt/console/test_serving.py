"""What may be bound, and for whom."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kgt.addresses import Address
from kgt.console.serving import Serving, WrongServing
from testbed.processes import ROOT

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("KGT_")}
EVERYWHERE = Address.parse("0.0.0.0:8780")


def run_once(*arguments: str, **variables: str) -> tuple[int, str]:
    """The exit status of a console that does not start, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "kgt.console", *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def test_what_cannot_be_served_is_said_in_one_line() -> None:
    status, said = run_once()
    assert (status, said.count("\n")) == (2, 1)
    assert "KGT_USER" in said
    status, said = run_once("--http", "0.0.0.0:0", KGT_USER="alice", KGT_INSECURE_BIND="0")
    assert (status, said.count("\n")) == (2, 1)
    assert "KGT_INSECURE_BIND=1" in said


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"KGT_TOKEN": "secret", "KGT_SERVER": "kgt.example.org:1"}, "in the clear"),
        ({"KGT_TOKEN": "secret", "KGT_TOKEN_FILE": "file"}, "set one of them"),
        ({"KGT_TLS_CERTIFICATE": "client.crt"}, "belong together"),
        ({"KGT_TLS_CA": "no/such/file"}, "no/such/file: "),
    ],
)
def test_a_proof_that_cannot_be_used_is_said_before_anybody_is_served(
    variables: dict[str, str], says: str
) -> None:
    status, said = run_once(KGT_USER="alice", **variables)
    assert status in (1, 2)
    assert says in said
    assert said.count("\n") == 1
    assert "secret" not in said


async def test_other_machines_never_get_everybodys_page() -> None:
    with pytest.raises(WrongServing, match="--any-user"):
        await Serving("127.0.0.1:1", any_user=True, insecure_bind=True).on_http(EVERYWHERE)


async def test_another_interface_needs_the_insecure_setting() -> None:
    with pytest.raises(WrongServing, match="KGT_INSECURE_BIND"):
        await Serving("127.0.0.1:1", "alice").on_http(EVERYWHERE)
    Serving("127.0.0.1:1", "alice", insecure_bind=True).check(EVERYWHERE)
