"""A real Neo4j for tests: in a container where a Docker engine answers, else made from Maven
artifacts with Java.

KGT_TEST_NEO4J=container or process asks for one of the two; KGT_TEST_NEO4J_RELEASE=calendar for the
newest calendar release, which needs Java 21, as a process. Without it the conformance suite alone
runs there too, beside 5.26: all of Neo4j's tests twice would take minutes. The jars are kept in
KGT's cache between runs.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kgload.targets.neo4j_offline import JVM_FLAGS
from server.lm.folders import cache_folder
from server.stores.neo4j.connection import Neo4jLogin

POMS = {
    "lts": Path(__file__).with_name("pom.xml"),
    "calendar": Path(__file__).with_name("pom-calendar.xml"),
}
JAVA = {"lts": 17, "calendar": 21}
MAIN = {
    "lts": "org.neo4j.server.CommunityEntryPoint",
    "calendar": "org.neo4j.server.Neo4jCommunity",
}
JVMS = Path("/usr/lib/jvm")
IMAGE = "neo4j:5.26-community"
CONTAINER_CONF = Path(__file__).parent.parent.parent / "docker" / "neo4j.conf"
START_S = 300.0
NEEDED = "Neo4j tests need a Docker engine, or Java 17 and Maven (apt install openjdk-17-jre-headless maven)"
NEEDED_FOR_CALENDAR = "Neo4j's calendar releases need Java 21 or later and Maven"


class Unobtainable(Exception):
    """No Neo4j can be had on this machine; says what to install."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a Neo4j may use, in its own notation."""

    heap: str
    page_cache: str


FOR_TESTS = Memory("512m", "128m")
AS_IN_COMPOSE = Memory("1g", "512m")


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
    release = os.environ.get("KGT_TEST_NEO4J_RELEASE", "lts")
    if wanted != "process" and release == "lts" and docker_answers() and has_image():
        with _container() as container:
            yield container
    elif wanted != "container" or release != "lts":
        with neo4j_process(folder, release) as process:
            yield process
    else:
        raise Unobtainable(NEEDED)


@contextlib.contextmanager
def neo4j_process(
    folder: Path, release: str, memory: Memory = FOR_TESTS, settings: Sequence[str] = ()
) -> Iterator[ProcessNeo4j]:
    """A started Neo4j of this machine's Java; `settings` are lines of its configuration. Raises
    Unobtainable."""
    java = find_java(JAVA[release])
    if java is None:
        raise Unobtainable(NEEDED if release == "lts" else NEEDED_FOR_CALENDAR)
    process = ProcessNeo4j(
        folder, java, jars(POMS[release]), MAIN[release], memory=memory, settings=settings
    )
    try:
        process.start()
        yield process
    finally:
        process.stop()


def find_java(least: int) -> str | None:
    """A Java of this version or later: JAVA_HOME's, the one on the path, or one that the system
    keeps."""
    homes = [os.environ.get("JAVA_HOME", ""), *(str(p) for p in sorted(JVMS.glob("*")))]
    candidates = [str(Path(home) / "bin" / "java") for home in homes if home]
    candidates.insert(1, shutil.which("java") or "")
    return next((java for java in candidates if java and java_version(java) >= least), None)


def java_version(java: str) -> int:
    """Its major version; 0 where it is none."""
    try:
        done = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def docker_answers() -> bool:
    """Whether a Docker engine answers."""
    return shutil.which("docker") is not None and _succeeds(20, "docker", "info")


def has_image() -> bool:
    """Whether the engine has Neo4j's image, or can pull it."""
    return _succeeds(60, "docker", "image", "inspect", IMAGE) or _succeeds(
        900, "docker", "pull", "-q", IMAGE
    )


def _succeeds(limit_s: float, *command: str) -> bool:
    try:
        return (
            subprocess.run(command, capture_output=True, timeout=limit_s, check=False).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def jars(pom: Path) -> Path:
    """The folder of a whole Neo4j as jars: from the cache, or resolved by Maven now. Raises
    Unobtainable."""
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "neo4j" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _resolve(pom, folder)
    return folder


def _resolve(pom: Path, folder: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unobtainable(NEEDED)
    building = folder.with_name(f"{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    command = ["mvn", "-q", "-f", str(pom), "dependency:copy-dependencies"]
    scope = ["-DincludeScope=runtime", f"-DoutputDirectory={building}"]
    done = subprocess.run(
        [*command, *scope], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise Unobtainable(f"{NEEDED}; Maven could not resolve {pom.name}: {done.stdout[-300:]}")
    building.rename(folder)


def new_password() -> str:
    """A random one that no command line takes for an option."""
    return "p" + secrets.token_urlsafe(12)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ProcessNeo4j:
    """A Neo4j as a process of this machine's Java, on ports of its own."""

    def __init__(
        self,
        folder: Path,
        java: str,
        lib: Path,
        main: str = MAIN["lts"],
        *,
        memory: Memory = FOR_TESTS,
        settings: Sequence[str] = (),
    ) -> None:
        self.data = folder / "data"
        self._folder, self._java, self._classpath, self._main = folder, java, f"{lib}/*", main
        self._heap = memory.heap
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=200)
        bolt, http = free_port(), free_port()
        self.login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", new_password())
        self.browser = f"http://127.0.0.1:{http}/browser/"
        (folder / "conf").mkdir(parents=True)
        (folder / "conf" / "neo4j.conf").write_text(
            f"server.bolt.listen_address=127.0.0.1:{bolt}\n"
            f"server.bolt.advertised_address=127.0.0.1:{bolt}\n"
            f"server.http.listen_address=127.0.0.1:{http}\n"
            f"server.http.advertised_address=127.0.0.1:{http}\n"
            "server.https.enabled=false\n"
            f"server.memory.heap.max_size={memory.heap}\n"
            f"server.memory.pagecache.size={memory.page_cache}\n"
            "dbms.usage_report.enabled=false\n" + "".join(f"{line}\n" for line in settings)
        )
        admin = ["org.neo4j.cli.AdminTool", "dbms", "set-initial-password", self.login.password]
        environment = {**os.environ, "NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf")}
        subprocess.run(
            [self._java, "-cp", self._classpath, *admin],
            env=environment,
            capture_output=True,
            timeout=START_S,
            check=True,
        )

    def set(self, line: str) -> None:
        """Add a line to the configuration, for the next start."""
        with (self._folder / "conf" / "neo4j.conf").open("a") as conf:
            conf.write(f"{line}\n")

    def start(self) -> None:
        said, ended = threading.Event(), threading.Event()
        command = [self._java, f"-Xmx{self._heap}", *JVM_FLAGS, "-cp", self._classpath, self._main]
        places = [
            f"--home-dir={self._folder}",
            f"--config-dir={self._folder / 'conf'}",
            "--console-mode",
        ]
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
                        said.set()
            ended.set()
            said.set()

        threading.Thread(target=pump, daemon=True).start()
        if not said.wait(START_S) or ended.is_set():
            self.kill()
            raise RuntimeError("Neo4j did not start: " + "".join(self._log)[-2000:])

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
    from testcontainers.core.config import ConnectionMode, testcontainers_config

    # Wherever it thinks it is itself: the ports are on this machine's loopback.
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.tc_host_override = "127.0.0.1"
    testcontainers_config.ryuk_disabled = (
        testcontainers_config.ryuk_disabled or not _reaper_can_be_had()
    )
    bolt, http = free_port(), free_port()
    password = new_password()
    container = (
        Neo4jContainer(IMAGE, password=password)
        .with_volume_mapping(str(CONTAINER_CONF), "/conf/neo4j.conf", "ro")
        .with_env("NEO4J_server_memory_heap_max__size", FOR_TESTS.heap)
        .with_env("NEO4J_server_bolt_advertised__address", f"127.0.0.1:{bolt}")
    )
    # with_bind_ports would publish them on every interface.
    container.ports = {"7687": ("127.0.0.1", bolt), "7474": ("127.0.0.1", http)}
    with container:
        login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", password)
        yield ContainerNeo4j(
            container.get_wrapped_container(), login, f"http://127.0.0.1:{http}/browser/"
        )


def _reaper_can_be_had() -> bool:
    """Whether the image is there, or can be fetched, with which testcontainers removes what a
    killed run leaves behind."""
    from docker.errors import DockerException, ImageNotFound  # type: ignore[import-not-found]
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.docker_client import DockerClient

    images = DockerClient().client.images
    try:
        images.get(testcontainers_config.ryuk_image)
    except ImageNotFound:
        try:
            images.pull(testcontainers_config.ryuk_image)
        except DockerException:
            return False
    return True


def bolt_answers(login: Neo4jLogin) -> bool:
    """Whether a query is answered there."""
    import neo4j
    from neo4j.exceptions import DriverError, Neo4jError

    try:
        with neo4j.GraphDatabase.driver(
            login.url, auth=(login.user, login.password), connection_timeout=2
        ) as driver:
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
