"""A real Neo4j for tests: in a container where a Docker engine answers, else made from Maven artifacts with Java.

KGT_TEST_NEO4J=container or process asks for one of the two. The jars are kept in KGT's cache between runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from server.lm.folders import cache_folder
from server.stores.neo4j_connection import Neo4jLogin

POM = Path(__file__).with_name("pom.xml")
IMAGE = "neo4j:5.26-community"
HEAP = "512m"
START_S = 180.0
NEEDED = "Neo4j tests need a Docker engine, or Java 17 and Maven (apt install openjdk-17-jre-headless maven)"

_OPENED = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dlog4j2.disable.jmx=true",
)


class Unobtainable(Exception):
    """No Neo4j can be had on this machine; says what to install."""


class Database(Protocol):
    """A Neo4j that a test may stop, kill and start again; its data stay."""

    login: Neo4jLogin
    browser: str

    def start(self) -> None: ...

    def stop(self) -> None:
        """As an operator would."""
        ...

    def kill(self) -> None:
        """As kill -9 would."""
        ...


@contextlib.contextmanager
def running_neo4j(folder: Path) -> Iterator[Database]:
    """A started Neo4j, with its data in `folder` where it is a process. Raises Unobtainable."""
    wanted = os.environ.get("KGT_TEST_NEO4J", "")
    if wanted != "process" and docker_answers():
        with _container() as container:
            yield container
    elif wanted != "container" and shutil.which("java"):
        process = ProcessNeo4j(folder, jars())
        process.start()
        try:
            yield process
        finally:
            process.stop()
    else:
        raise Unobtainable(NEEDED)


def docker_answers() -> bool:
    """Whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def jars() -> Path:
    """The folder of a whole Neo4j as jars: from the cache, or resolved by Maven now. Raises Unobtainable."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "neo4j" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _resolve(folder)
    return folder


def _resolve(folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unobtainable(NEEDED)
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    command = ["mvn", "-q", "-f", str(POM), "dependency:copy-dependencies"]
    scope = ["-DincludeScope=runtime", f"-DoutputDirectory={building}"]
    done = subprocess.run([*command, *scope], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise Unobtainable(f"{NEEDED}; Maven could not resolve {POM.name}: {done.stdout[-300:]}")
    building.rename(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ProcessNeo4j:
    """A Neo4j as a process of this machine's Java, on ports of its own."""

    def __init__(self, folder: Path, lib: Path) -> None:
        self._folder, self._classpath = folder, f"{lib}/*"
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=200)
        bolt, http = free_port(), free_port()
        self.login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", secrets.token_urlsafe(12))
        self.browser = f"http://127.0.0.1:{http}/browser/"
        (folder / "conf").mkdir(parents=True)
        (folder / "conf" / "neo4j.conf").write_text(
            f"server.bolt.listen_address=127.0.0.1:{bolt}\n"
            f"server.bolt.advertised_address=127.0.0.1:{bolt}\n"
            f"server.http.listen_address=127.0.0.1:{http}\n"
            f"server.http.advertised_address=127.0.0.1:{http}\n"
            "server.https.enabled=false\n"
            f"server.memory.heap.max_size={HEAP}\n"
            "server.memory.pagecache.size=128m\n"
            "dbms.usage_report.enabled=false\n"
        )
        admin = ["org.neo4j.cli.AdminTool", "dbms", "set-initial-password", self.login.password]
        environment = {**os.environ, "NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf")}
        subprocess.run(
            ["java", "-cp", self._classpath, *admin], env=environment, capture_output=True, timeout=120, check=True
        )

    def start(self) -> None:
        started = threading.Event()
        command = ["java", f"-Xmx{HEAP}", *_OPENED, "-cp", self._classpath, "org.neo4j.server.CommunityEntryPoint"]
        places = [f"--home-dir={self._folder}", f"--config-dir={self._folder / 'conf'}", "--console-mode"]
        self._process = subprocess.Popen(
            [*command, *places], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        process = self._process

        def pump() -> None:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    self._log.append(line)
                    if re.search(r"INFO\s+Started\.", line):
                        started.set()
            started.set()

        threading.Thread(target=pump, daemon=True).start()
        if not started.wait(START_S) or process.poll() is not None:
            self.kill()
            raise Unobtainable("Neo4j did not start: " + "".join(self._log)[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
        self._process = None


class ContainerNeo4j:
    """A Neo4j in a container, its ports fixed so that it has the same address after a restart."""

    def __init__(self, container: Any, login: Neo4jLogin, browser: str) -> None:
        self._container, self.login, self.browser = container, login, browser

    def start(self) -> None:
        self._container.start()
        until(lambda: bolt_answers(self.login), "Neo4j in its container")

    def stop(self) -> None:
        self._container.stop(timeout=60)

    def kill(self) -> None:
        self._container.kill(signal="KILL")
        self._container.wait(timeout=60)


@contextlib.contextmanager
def _container() -> Iterator[Database]:
    from testcontainers.community.neo4j import Neo4jContainer

    bolt, http = free_port(), free_port()
    password = secrets.token_urlsafe(12)
    container = (
        Neo4jContainer(IMAGE, password=password)
        .with_bind_ports(7687, bolt)
        .with_bind_ports(7474, http)
        .with_env("NEO4J_server_memory_heap_max__size", HEAP)
        .with_env("NEO4J_server_bolt_advertised__address", f"127.0.0.1:{bolt}")
    )
    with container:
        login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", password)
        yield ContainerNeo4j(container.get_wrapped_container(), login, f"http://127.0.0.1:{http}/browser/")


def bolt_answers(login: Neo4jLogin) -> bool:
    """Whether a query is answered there."""
    import neo4j
    from neo4j.exceptions import DriverError, Neo4jError

    try:
        with neo4j.GraphDatabase.driver(login.url, auth=(login.user, login.password), connection_timeout=2) as driver:
            driver.execute_query("RETURN 1")
    except (DriverError, Neo4jError, OSError):
        return False
    return True


def until(condition: Callable[[], bool], what: str, limit_s: float = START_S) -> None:
    """Ask until it is so; the asking itself waits. Fails after `limit_s`."""
    end = time.monotonic() + limit_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"waited {limit_s:g} s for {what}"
        pause.wait(0.05)
