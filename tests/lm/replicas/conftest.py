"""One small Ray cluster for all tests of replicas, with two replicas of a tiny model."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.lm.replicas.address import ReplicasAddress
from testbed.ray_cluster import prepare_for_ray, ray_cluster

REPLICAS = 2

prepare_for_ray()  # before any module of these tests imports Ray


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a cluster."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install '.[ray]'")
    with ray_cluster(cpus=REPLICAS + 1) as address:
        yield address


@pytest.fixture(scope="session")
def replicas(
    cluster: str, llama_folder: Path, session_cache: Path, monkeypatch_session: pytest.MonkeyPatch
) -> ReplicasAddress:
    """Two replicas of a random two-layer model, in float32 on one thread each."""
    from server.replicas import main

    monkeypatch_session.setenv("KGT_CACHE", str(session_cache))
    model = ["--model", str(llama_folder), "--adapter", "none", "--dtype", "float32"]
    scaling = ["--least", str(REPLICAS), "--cpus", "1"]
    status = main([cluster, *scaling, *model, "--device", "cpu", "--threads", "1"])
    assert status == 0
    return ReplicasAddress(cluster)


@pytest.fixture(scope="session")
def monkeypatch_session() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
