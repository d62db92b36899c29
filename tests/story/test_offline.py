"""The service works without a network, and tries to reach nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demo.__main__ import ENJOY, load
from kgt.client import Client
from testbed.processes import server_process

pytestmark = [pytest.mark.story, pytest.mark.usefixtures("default_model")]

_WATCH = """
import os, socket

def watched(name):
    real = getattr(socket.socket, name)
    def call(self, address, *rest):
        is_ip = self.family in (socket.AF_INET, socket.AF_INET6)
        if is_ip and not str(address[0]).startswith(("127.", "::1")):
            with open(os.environ["REACHED"], "a") as file:
                print(address, file=file)
            raise OSError("no network here")
        return real(self, address, *rest)
    setattr(socket.socket, name, call)

for name in ("connect", "connect_ex"):
    watched(name)
real_lookup = socket.getaddrinfo

def getaddrinfo(host, *rest, **named):
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        with open(os.environ["REACHED"], "a") as file:
            print(host, file=file)
        raise socket.gaierror("no network here")
    return real_lookup(host, *rest, **named)

socket.getaddrinfo = getaddrinfo
"""

_CALL = """
import urllib.request

try:
    urllib.request.urlopen("http://example.org", timeout=5)
except OSError:
    pass
"""


def test_a_correction_without_a_network_and_nobody_was_called(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_WATCH)
    reached = tmp_path / "reached"
    load(None, tmp_path / "data")
    env = {"PYTHONPATH": str(tmp_path / "site"), "REACHED": str(reached)}
    with (
        server_process("server", tmp_path / "data", env=env) as server,
        Client(server.address) as client,
    ):
        assert client.personalize(user="alice", query=ENJOY, answer="vegetables").converged
        assert "vegetables" in client.answer(user="alice", query=ENJOY).text
        status, log = server.stop()
    assert status == 0, log
    assert not reached.exists(), reached.read_text()


def test_the_watch_would_have_seen_a_call(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_WATCH)
    env = {"PYTHONPATH": str(tmp_path), "REACHED": str(tmp_path / "reached")}
    subprocess.run([sys.executable, "-c", _CALL], env=env, check=True)
    assert "example.org" in (tmp_path / "reached").read_text()
