"""A Ray cluster on this machine: small, without a dashboard, behind a token, telling nobody."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from testbed.processes import free_port

_OBJECTS_BYTES = 100 << 20
_STOP_S = 60
_STARTED = "Ray runtime started"
_STARTS = 4
"""How often a start is tried: Ray gives up after 30 s, which a busy machine may take."""


def prepare_for_ray() -> None:
    """Put what Ray reads when it is imported into the environment: call this before that.

    Without the cluster's token a process would wait for it in vain.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # off: only the loopback interface
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextlib.contextmanager
def ray_cluster(cpus: int) -> Iterator[str]:
    """The address of a cluster of one node, in processes of its own, until the block ends.

    Its token is in the environment. Raises RuntimeError where Ray was imported before it was there.
    """
    if "ray" in sys.modules and "RAY_AUTH_TOKEN" not in os.environ:
        raise RuntimeError("Ray was imported before prepare_for_ray() was called")
    prepare_for_ray()
    # A short path: the names of Ray's sockets are below it
    with tempfile.TemporaryDirectory(prefix="kgt-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        process = _started(cpus, port, folder)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            # Asked to end, Ray would wait 30 s for what runs in it. Its workers end with it
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=_STOP_S)


def _started(cpus: int, port: int, folder: str) -> subprocess.Popen[str]:
    """The process that has the others of the cluster below it. Raises RuntimeError."""
    options = {
        "port": port,
        "node-ip-address": "127.0.0.1",
        "num-cpus": cpus,
        "object-store-memory": _OBJECTS_BYTES,
        "include-dashboard": "false",
        "include-log-monitor": "false",
        "ray-client-server-port": free_port(),
        "temp-dir": folder,
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    said = ""
    for _ in range(_STARTS):
        process = subprocess.Popen(
            [
                *command,
                "--no-monitor",
                "--disable-usage-stats",
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if _STARTED in line:
                return process
        process.communicate()
    raise RuntimeError(f"Ray does not start: {said[-2000:]}")
