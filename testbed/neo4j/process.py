"""A Neo4j as a process of this machine's Java."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from kgload.targets.neo4j_offline import JVM_FLAGS
from server.stores.neo4j.connection import Neo4jLogin
from testbed.neo4j.database import (
    FOR_TESTS,
    NEEDED,
    START_S,
    Memory,
    Unobtainable,
    new_password,
)
from testbed.neo4j.java import JAVA, POMS, find_java, jars
from testbed.processes import free_port

MAIN = {
    "lts": "org.neo4j.server.CommunityEntryPoint",
    "calendar": "org.neo4j.server.Neo4jCommunity",
}
NEEDED_FOR_CALENDAR = "Neo4j's calendar releases need Java 21 or later and Maven"


@contextlib.contextmanager
def neo4j_process(
    folder: Path, release: str, memory: Memory = FOR_TESTS, settings: Sequence[str] = ()
) -> Iterator[ProcessNeo4j]:
    """A started Neo4j, with its data in `folder`. Raises Unobtainable.

    `settings` are lines of its configuration.
    """
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


class ProcessNeo4j:
    """A Neo4j with a folder and ports of its own."""

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
        self._folder = folder
        self._conf = folder / "conf" / "neo4j.conf"
        self._java = java
        self._classpath = f"{lib}/*"
        self._main = main
        self._heap = memory.heap
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=200)
        bolt, http = free_port(), free_port()
        self.login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", new_password())
        self.browser = f"http://127.0.0.1:{http}/browser/"
        self._configure(bolt, http, memory, settings)
        self._set_password()

    def _configure(self, bolt: int, http: int, memory: Memory, settings: Sequence[str]) -> None:
        self._conf.parent.mkdir(parents=True)
        lines = [
            f"server.bolt.listen_address=127.0.0.1:{bolt}",
            f"server.bolt.advertised_address=127.0.0.1:{bolt}",
            f"server.http.listen_address=127.0.0.1:{http}",
            f"server.http.advertised_address=127.0.0.1:{http}",
            "server.https.enabled=false",
            f"server.memory.heap.max_size={memory.heap}",
            f"server.memory.pagecache.size={memory.page_cache}",
            "dbms.usage_report.enabled=false",
            *settings,
        ]
        self._conf.write_text("".join(f"{line}\n" for line in lines))

    def _set_password(self) -> None:
        admin = self.admin(self._folder / "bin")
        subprocess.run(
            [admin, "dbms", "set-initial-password", self.login.password],
            capture_output=True,
            timeout=START_S,
            check=True,
        )

    def admin(self, folder: Path) -> Path:
        """A `neo4j-admin` for this Neo4j, in `folder`."""
        script = folder / "neo4j-admin"
        folder.mkdir(parents=True, exist_ok=True)
        places = {"NEO4J_HOME": self._folder, "NEO4J_CONF": self._conf.parent}
        exports = "".join(f"export {name}={shlex.quote(str(p))}\n" for name, p in places.items())
        jvm = shlex.join([self._java, *JVM_FLAGS, "-cp", self._classpath])
        script.write_text(f'#!/bin/sh\n{exports}exec {jvm} org.neo4j.cli.AdminTool "$@"\n')
        script.chmod(0o700)
        return script

    def set(self, line: str) -> None:
        """Add a line to the configuration, for the next start."""
        with self._conf.open("a") as conf:
            conf.write(f"{line}\n")

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with what it said."""
        jvm = [self._java, f"-Xmx{self._heap}", *JVM_FLAGS, "-cp", self._classpath, self._main]
        places = [f"--home-dir={self._folder}", f"--config-dir={self._conf.parent}"]
        process = subprocess.Popen(
            [*jvm, *places, "--console-mode"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = process
        said, ended = threading.Event(), threading.Event()

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
