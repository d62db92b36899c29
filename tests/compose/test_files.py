"""The image's and compose's files, as far as they can be read without an engine."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from demo.processes import ROOT
from kgload.offline import SCRIPT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_everything_is_published_on_loopback_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_password_has_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    uses = re.findall(r"\$\{KGT_NEO4J_PASSWORD(.*?)\}", text)
    assert uses
    assert all(use.startswith(":?") for use in uses)


def test_server_and_loader_run_with_nothing_to_write_and_nothing_to_gain() -> None:
    for name in ("server", "loader"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["depends_on"]["neo4j"] == {"condition": "service_healthy"}
    assert COMPOSE["services"]["server"]["depends_on"]["loader"] == {"condition": "service_completed_successfully"}
    assert re.search(r"^USER \d+:\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_offline_route_is_two_steps_that_run_when_asked_for_and_find_each_other_s_files() -> None:
    files, importing = COMPOSE["services"]["offline-files"], COMPOSE["services"]["offline"]
    for service in (files, importing):
        assert service["profiles"] == ["offline"]
        assert service["restart"] == "no"
        assert service["network_mode"] == "none"
        assert "files:/neo4j/import" in service["volumes"]
    assert "--offline /neo4j " in files["command"][2]
    assert f"/neo4j/import/kgload/{SCRIPT}" in importing["command"][0]
    assert importing["image"] == COMPOSE["services"]["neo4j"]["image"]
    assert "graph:/data" in importing["volumes"]
    assert importing["depends_on"] == {"offline-files": {"condition": "service_completed_successfully"}}


def test_the_image_s_packages_are_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    names = {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in wanted}
    pinned = {line.partition("==")[0] for line in (ROOT / "docker" / "constraints.txt").read_text().splitlines()}
    assert names <= pinned, "add them to docker/constraints.txt"
