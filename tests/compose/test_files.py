"""The files of the image and of compose, as far as they can be read without an engine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kgload.targets.neo4j_offline import SCRIPT
from server.settings import Settings
from testbed.processes import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_everything_is_published_on_loopback_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_password_has_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    uses = re.findall(r"\$\{KGT_NEO4J_PASSWORD(.*?)\}", text)
    assert uses
    assert all(use.startswith(":?") for use in uses)


def test_server_and_loader_can_write_nothing_and_gain_no_rights() -> None:
    for name in ("server", "loader"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["depends_on"]["neo4j"] == {"condition": "service_healthy"}
    assert COMPOSE["services"]["server"]["depends_on"]["loader"] == {
        "condition": "service_completed_successfully"
    }
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)


def test_the_image_runs_as_a_user_without_rights() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)$", last, re.MULTILINE)
    assert users == ["10001:10001"], "neither root nor a name, which an orchestrator cannot check"
    assert "chmod a-s" in last, "no program of the base image gives another user's rights"
    assert not re.search(r"\b(setcap|sudo|u\+s)\b", DOCKERFILE)
    after = last.partition("\nUSER ")[2]
    assert not re.search(r"^(RUN|COPY|ADD) ", after, re.MULTILINE), "its files are root's"


def test_the_offline_steps_run_when_asked_for_and_find_each_other_s_files() -> None:
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
    assert importing["depends_on"] == {
        "offline-files": {"condition": "service_completed_successfully"}
    }


OURS = ("server", "loader", "offline-files")
CAPABILITIES = {
    "neo4j": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"},
    "offline": {"CHOWN", "DAC_OVERRIDE", "FOWNER"},
}
"""Which of root's rights a service that begins as root needs."""


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_each_service_has_few_rights_and_bounds(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) == CAPABILITIES.get(name, set())
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{KGT_[A-Z0-9_]*MEMORY:-\d+g\}", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 1024
    assert service["stop_grace_period"]
    assert "privileged" not in service
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", OURS)
def test_this_project_s_services_write_only_a_bounded_tmp(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp:size=1g"]
    assert service.get("cap_add") is None


def test_the_image_listens_on_its_own_loopback_unless_it_is_told() -> None:
    for variable in ("KGT_ADDRESS", "KGT_INSECURE_BIND", "KGT_SERVER"):
        assert not re.search(rf"^[^#]*{variable}", DOCKERFILE, re.MULTILINE), variable
    environment = COMPOSE["services"]["server"]["environment"]
    assert (environment["KGT_ADDRESS"], environment["KGT_INSECURE_BIND"]) == ("0.0.0.0:50051", "1")
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"]["server"]["ports"])
    others = [s for name, s in COMPOSE["services"].items() if name != "server"]
    assert all("KGT_INSECURE_BIND" not in service.get("environment", {}) for service in others)


# A model in vLLM

VLLM: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.vllm.yml").read_text())


def test_vllm_is_published_nowhere_and_wants_a_key_that_has_no_default() -> None:
    vllm, server = VLLM["services"]["vllm"], VLLM["services"]["server"]
    assert "ports" not in vllm
    assert "network_mode" not in vllm
    assert vllm["environment"]["VLLM_API_KEY"].startswith("${KGT_VLLM_KEY:?")
    assert server["environment"]["KGT_MODEL_KEY"] == "${KGT_VLLM_KEY}"
    assert server["depends_on"] == {"vllm": {"condition": "service_healthy"}}
    (gpu,) = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert gpu == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_vllm_has_few_rights_and_bounds() -> None:
    service = VLLM["services"]["vllm"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{KGT_[A-Z0-9_]*MEMORY:-\d+g\}", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 1024
    assert not any("docker.sock" in volume for volume in service["volumes"])


def test_the_server_is_told_of_vllm_as_it_reads_it() -> None:
    told = VLLM["services"]["server"]["environment"]
    model = told["KGT_MODEL"].replace("${KGT_VLLM_MODEL}", "org/name")
    settings = Settings(model=model, insecure_model=told["KGT_INSECURE_MODEL"] == "1")
    assert settings.remote_model is not None
    assert settings.remote_model.name == "org/name"
    port = VLLM["services"]["vllm"]["command"][-1]
    assert settings.remote_model.url == f"http://vllm:{port}/v1"


@pytest.mark.parametrize("extra", ["docker-compose.gpu.yml", "docker-compose.vllm.yml"])
def test_compose_reads_the_files_for_machines_with_gpus(extra: str) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    set_in = {"KGT_NEO4J_PASSWORD": "secret", "KGT_VLLM_MODEL": "org/name", "KGT_VLLM_KEY": "key"}
    done = subprocess.run(
        ["docker-compose", "-f", "docker-compose.yml", "-f", extra, "config", "-q"],
        cwd=ROOT,
        env={**os.environ, **set_in},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Base images


def test_each_base_image_is_named_by_a_variable_that_can_hold_a_digest() -> None:
    assert {line for line in DOCKERFILE.splitlines() if line.startswith("FROM")} == {
        "FROM ${PYTHON} AS packages",
        "FROM packages AS model",
        "FROM packages AS code",
        "FROM ${PYTHON}",
    }
    (default,) = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE)
    arguments = COMPOSE["services"]["server"]["build"]["args"]
    assert arguments["PYTHON"] == f"${{KGT_PYTHON_IMAGE:-{default}}}"
    images = {service["image"] for service in COMPOSE["services"].values()}
    assert images == {"${KGT_IMAGE:-kgt:latest}", "${KGT_NEO4J_IMAGE:-neo4j:5.26.30-community}"}


def pin_images(folder: Path, inspected: str) -> subprocess.CompletedProcess[str]:
    """Pin the images, with an .env that has a password.

    The engine is a script that prints `inspected` for each image.
    """
    engine = folder / "docker"
    engine.write_text(f'#!/bin/sh\n[ "$1" = pull ] || printf "{inspected}"\n')
    engine.chmod(0o700)
    (folder / ".env").write_text("KGT_NEO4J_PASSWORD=secret\nKGT_NEO4J_IMAGE=old\n")
    script, compose = ROOT / "docker" / "pin-images.sh", ROOT / "docker-compose.yml"
    command = ["sh", str(script), str(compose), str(folder / ".env")]
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_pinned_images_are_in_the_environment_next_to_the_password(tmp_path: Path) -> None:
    digest = f"sha256:{'0' * 64}"
    done = pin_images(tmp_path, f"somewhere/image@{digest}\\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / ".env").read_text().splitlines() == [
        "KGT_NEO4J_PASSWORD=secret",
        f"KGT_NEO4J_IMAGE=neo4j:5.26.30-community@{digest}",
        f"KGT_PYTHON_IMAGE=python:3.11-slim@{digest}",
    ]
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_an_image_without_a_digest_is_told_and_changes_nothing(tmp_path: Path) -> None:
    done = pin_images(tmp_path, "")
    assert done.returncode != 0
    assert "neo4j:5.26.30-community has no digest" in done.stderr
    assert (tmp_path / ".env").read_text() == "KGT_NEO4J_PASSWORD=secret\nKGT_NEO4J_IMAGE=old\n"
