"""What a user does with the compose file: up, personalize, answer, restart, ask again."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kgt.addresses import for_client
from server.health import SERVING, status_of
from testbed.neo4j import docker_answers, new_password
from testbed.processes import ROOT, free_port, until

pytestmark = pytest.mark.story

ENJOY = "What does a dog enjoy?"
BUILD_S, READY_S = 3_000, 180


class Compose:
    """The compose file, with a project name and ports of its own."""

    def __init__(self, command: list[str], password: str) -> None:
        self._command = [*command, "-p", f"kgt-test-{secrets.token_hex(3)}"]
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = {
            **os.environ,
            "KGT_NEO4J_PASSWORD": password,
            "KGT_PORT": self.address.rpartition(":")[2],
            "KGT_BOLT_PORT": str(free_port()),
            "KGT_BROWSER_PORT": str(free_port()),
            "KGT_NEO4J_HEAP": "512m",
        }

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
        assert done.returncode == 0 or not check, (
            f"{arguments}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done

    def kgt(self, *arguments: str) -> dict[str, Any]:
        """What the `kgt` command prints, as JSON."""
        command = [sys.executable, "-m", "kgt", *arguments, "--server", self.address, "--json"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def up(self) -> None:
        """Build and start everything, as `make up` does.

        Without the build, compose 1 would try to pull the loader's image, which is the server's.
        """
        self.run("build")
        with self._logs_when_it_fails():
            self.run("up", "-d")
        self.wait_until_it_serves()

    def wait_until_it_serves(self) -> None:
        with self._logs_when_it_fails():
            until(self.serving, "the server to serve", READY_S)

    @contextlib.contextmanager
    def _logs_when_it_fails(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            raise AssertionError(
                f"{error}: {self.run('logs', '--tail', '20', check=False).stdout}"
            ) from error

    def serving(self) -> bool:
        return status_of(for_client(self.address)) == SERVING


def compose_command() -> list[str] | None:
    if not docker_answers():
        return None
    plugin = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, timeout=20, check=False
    )
    if plugin.returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


@pytest.fixture(scope="module")
def command() -> list[str]:
    found = compose_command()
    if found is None:
        pytest.skip("compose tests need a Docker engine that answers and docker-compose")
    return found


@contextlib.contextmanager
def project(command: list[str]) -> Iterator[Compose]:
    """A project of its own. Nothing of it stays."""
    compose = Compose(command, new_password())
    try:
        yield compose
    finally:
        compose.run("--profile", "offline", "down", "-v", "--timeout", "30", check=False)


@pytest.fixture(scope="module")
def compose(command: list[str]) -> Iterator[Compose]:
    with project(command) as compose:
        compose.up()
        yield compose


def test_without_a_password_it_stops_and_says_so(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.env").write_text("")
    without = Compose([*command, "--env-file", str(tmp_path / "empty.env")], "")
    refused = without.run("config", check=False)
    assert refused.returncode != 0
    assert "make up" in refused.stderr


def test_what_was_personalized_is_there_after_a_restart(compose: Compose) -> None:
    before = compose.kgt("answer", "-u", "alice", ENJOY)["text"]
    compose.kgt("personalize", "-u", "alice", ENJOY, "vegetables")
    assert "vegetables" in compose.kgt("answer", "-u", "alice", ENJOY)["text"]
    compose.run("restart", "--timeout", "30")
    compose.wait_until_it_serves()
    assert "vegetables" in compose.kgt("answer", "-u", "alice", ENJOY)["text"]
    assert compose.kgt("answer", "-u", "bob", ENJOY)["text"] == before


def test_the_server_is_nobody_and_writes_nothing(compose: Compose) -> None:
    assert compose.run("exec", "-T", "server", "id", "-u").stdout.strip() == "10001"
    assert compose.run("exec", "-T", "server", "touch", "/opt/kgt/x", check=False).returncode != 0
    health = compose.run("exec", "-T", "server", "python", "-m", "server.health")
    assert health.stdout.strip().endswith("SERVING")


CAPABILITIES = """
import os, stat
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(*(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")))
print(status["NoNewPrivs"].strip())
for folder, _, names in os.walk("/"):
    if folder.startswith(("/proc", "/sys", "/dev")):
        continue
    for path in (os.path.join(folder, name) for name in names):
        found = os.lstat(path)
        gives = found.st_mode & (stat.S_ISUID | stat.S_ISGID)
        if stat.S_ISREG(found.st_mode) and (gives or "security.capability" in os.listxattr(path)):
            print(path)
"""
"""Prints a process's capabilities, whether it can gain any, and each program that gives some."""


def test_the_server_has_no_capabilities_and_no_program_that_gives_any(compose: Compose) -> None:
    scan = compose.run("exec", "-T", "server", "python", "-c", CAPABILITIES)
    assert scan.stdout.splitlines() == ["0 0 0 0 0", "1"]


@pytest.mark.usefixtures("compose")
def test_the_image_names_its_user_by_number() -> None:
    image = os.environ.get("KGT_IMAGE", "kgt:latest")
    command = ["docker", "image", "inspect", "--format", "{{.Config.User}}", image]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "10001:10001"


def test_an_empty_graph_is_filled_by_neo4j_admin_once(command: list[str]) -> None:
    with project(command) as compose:
        compose.run("build")
        compose.run("--profile", "offline", "up", "offline")
        compose.up()
        log = compose.run("logs", "--no-color", "loader")
        assert log.stdout.splitlines()[1:] == [], "the loader found it there"
        assert compose.kgt("answer", "-u", "alice", ENJOY)["text"]
        again = compose.run("--profile", "offline", "up", "offline", check=False)
        assert again.returncode != 0
        log = compose.run("logs", "--no-color", "offline-files")
        assert "holds a database already" in log.stdout
