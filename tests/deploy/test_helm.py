"""The chart lets pods do no more than they need, and holds no secret."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import Settings

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "kgt"
VALUES = [CHART / "values.yaml", *sorted((CHART / "ci").glob("*.yaml"))]
KUBERNETES = "1.35.0"
Manifest = dict[str, Any]


def helm() -> str:
    """The helm of this machine, or the one that `make lint-helm` built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    built = sorted((cache / "kgt" / "tools").glob("helm-*"))
    found = shutil.which("helm") or (str(built[-1]) if built else None)
    if found is None:
        pytest.skip("helm is missing; `make lint-helm` builds it where Go is found")
    return found


@pytest.fixture(scope="module", params=VALUES, ids=lambda path: path.stem)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What is rendered with one set of values."""
    given = ["--kube-version", KUBERNETES, "--values", str(request.param)]
    done = subprocess.run(
        [helm(), "template", "kgt", str(CHART), *given],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    for each in of_kind(manifests, "Deployment"):
        yield each["spec"]["template"]["spec"]


def test_no_pod_is_root_writes_its_image_or_gains_rights(manifests: list[Manifest]) -> None:
    assert list(pods(manifests))
    for pod in pods(manifests):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert all("emptyDir" in volume for volume in pod["volumes"])


def test_secrets_are_only_named(manifests: list[Manifest]) -> None:
    assert of_kind(manifests, "Secret") == []
    for pod in pods(manifests):
        for variable in pod["containers"][0]["env"]:
            if any(word in variable["name"] for word in ("PASSWORD", "TOKEN", "KEY")):
                assert set(variable["valueFrom"]["secretKeyRef"]) == {"name", "key"}


def test_only_labelled_callers_reach_the_servers(manifests: list[Manifest]) -> None:
    policies = {
        each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "NetworkPolicy")
    }
    server = policies["kgt"]
    assert server["policyTypes"] == ["Ingress", "Egress"]
    assert server["ingress"][0] == {
        "from": [{"podSelector": {"matchLabels": {"kgt-client": "true"}}}],
        "ports": [{"protocol": "TCP", "port": 50051}],
    }
    own = {"app.kubernetes.io/name": "kgt", "app.kubernetes.io/instance": "kgt"}
    for policy in policies.values():
        for rule in policy["ingress"][1:] if policy is server else policy["ingress"]:
            if rule.get("ports") == [{"protocol": "TCP", "port": 9464}]:
                (peer,) = rule["from"]
                assert peer["podSelector"] == {
                    "matchLabels": {"app.kubernetes.io/name": "prometheus"}
                }
            else:
                assert rule["from"] == [{"podSelector": {"matchLabels": own}}]


def test_servers_start_slowly_stop_with_grace_and_leave_one_by_one(
    manifests: list[Manifest],
) -> None:
    (server,) = [each for each in pods(manifests) if each["containers"][0]["name"] == "server"]
    container = server["containers"][0]
    probed = [container[f"{name}Probe"] for name in ("startup", "readiness")]
    assert all("grpc" in probe or "server.health" in probe["exec"]["command"] for probe in probed)
    assert "tcpSocket" in container["livenessProbe"], "a Neo4j that is away restarts no server"
    grace_s = Settings.model_fields["grace_s"].default
    assert server["terminationGracePeriodSeconds"] > grace_s + 5
    budgets = of_kind(manifests, "PodDisruptionBudget")
    assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets)
    selectors = [each["spec"]["selector"]["matchLabels"] for each in budgets]
    assert "server" in {each["app.kubernetes.io/component"] for each in selectors}


def test_only_settings_of_the_server_are_set(manifests: list[Manifest]) -> None:
    given = {f"KGT_{name.upper()}" for name in Settings.model_fields}
    for pod in pods(manifests):
        named = {v["name"] for v in pod["containers"][0]["env"] if v["name"].startswith("KGT_")}
        assert named - given <= {"KGT_MODEL_KEY"}, "the values of ci/ name one that is to come"
