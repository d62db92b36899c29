"""A Neo4j in a container."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from server.stores.neo4j.connection import Neo4jLogin
from testbed.neo4j.database import FOR_TESTS, Database, bolt_answers, new_password
from testbed.processes import ROOT, free_port, until

IMAGE = "neo4j:5.26-community"
CONF = ROOT / "docker" / "neo4j.conf"


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
        done = subprocess.run(command, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


class ContainerNeo4j:
    """A Neo4j in a container. Its ports are fixed, so its address stays after a restart."""

    def __init__(self, container: Any, login: Neo4jLogin, browser: str) -> None:
        self._container = container
        self.login = login
        self.browser = browser

    def start(self) -> None:
        self._container.start()
        until(lambda: bolt_answers(self.login), "Neo4j in its container")

    def stop(self) -> None:
        self._container.stop(timeout=60)

    def kill(self) -> None:
        self._container.kill(signal="KILL")
        self._container.wait(timeout=60)


@contextlib.contextmanager
def neo4j_container() -> Iterator[Database]:
    """A started Neo4j in a container that is removed at the end."""
    from testcontainers.community.neo4j import Neo4jContainer
    from testcontainers.core.config import ConnectionMode, testcontainers_config

    # The ports are on this machine's loopback, even if testcontainers itself runs in a container.
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    testcontainers_config.tc_host_override = "127.0.0.1"
    testcontainers_config.ryuk_disabled = (
        testcontainers_config.ryuk_disabled or not _has_image_of_the_reaper()
    )
    bolt, http = free_port(), free_port()
    password = new_password()
    container = (
        Neo4jContainer(IMAGE, password=password)
        .with_volume_mapping(str(CONF), "/conf/neo4j.conf", "ro")
        .with_env("NEO4J_server_memory_heap_max__size", FOR_TESTS.heap)
        .with_env("NEO4J_server_bolt_advertised__address", f"127.0.0.1:{bolt}")
    )
    # with_bind_ports would publish them on every interface.
    container.ports = {"7687": ("127.0.0.1", bolt), "7474": ("127.0.0.1", http)}
    with container:
        login = Neo4jLogin(f"bolt://127.0.0.1:{bolt}", "neo4j", password)
        browser = f"http://127.0.0.1:{http}/browser/"
        yield ContainerNeo4j(container.get_wrapped_container(), login, browser)


def _has_image_of_the_reaper() -> bool:
    """Whether the engine has, or can pull, the image of testcontainers' reaper.

    The reaper removes the containers that a killed run leaves behind.
    """
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
