"""Where it goes: to a collector, to Prometheus, or nowhere."""

from __future__ import annotations

import logging
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from server import assemble
from server.errors import StartupError
from server.settings import Settings
from server.telemetry.exports import opened
from server.tuning.watching import UNSEEN
from testbed.bases import build_base
from testbed.collector import collector
from testbed.processes import ROOT, free_port, server_process
from tests.rpc.running import BASE, ENJOY, VOCABULARY, running

SERVED = "tests.rpc.fixed_server"


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
        text: str = response.read().decode()
    return text


def test_without_a_setting_nothing_watches() -> None:
    assert assemble.sight(Settings()) is UNSEEN


async def test_a_collector_gets_traces_and_metrics(tmp_path: Path) -> None:
    with collector() as collected:
        sight = opened(collected.endpoint, "")
        async with running(tmp_path, sight=sight) as service:
            await service.client.answer(user="alice", query=ENJOY)
        sight.close()
    assert collected.spans["kgt.v1.PersonalizationService/Answer"] == 1
    assert collected.spans["store neighborhood"] >= 1
    assert {"kgt.requests", "kgt.stage.duration"} <= collected.metrics.keys()


async def test_prometheus_reads_metrics_until_the_server_ends(tmp_path: Path) -> None:
    port = free_port()
    sight = opened("", f"127.0.0.1:{port}")
    async with running(tmp_path, sight=sight) as service:
        await service.client.answer(user="alice", query=ENJOY)
    assert 'kgt_requests_total{reason="",rpc="Answer",status="OK"} 1.0' in page(port)
    with pytest.raises(StartupError, match=f"127.0.0.1:{port}.*KGT_METRICS_ADDRESS"):
        opened("", f"127.0.0.1:{port}")
    sight.close()
    with pytest.raises(OSError, match="refused"):
        page(port)


def test_a_server_tells_what_its_settings_ask_for(tmp_path: Path) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    port = free_port()
    with collector() as collected:
        env = {
            "KGT_OTLP_ENDPOINT": collected.endpoint,
            "KGT_METRICS_ADDRESS": f"127.0.0.1:{port}",
            "OTEL_SERVICE_NAME": "kgt-of-the-tests",
        }
        with server_process(SERVED, tmp_path, env=env) as server:
            assert "kgt_serving" in page(port)
            assert 'service_name="kgt-of-the-tests"' in page(port)
            assert server.stop()[0] == 0
    assert "kgt.serving" in collected.metrics


def test_a_collector_that_is_not_there_hinders_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with caplog.at_level(logging.CRITICAL):
        sight = opened(f"http://127.0.0.1:{free_port()}", "")
        sight.call("Answer", ()).ended("OK")
        sight.close()


WITHOUT_THE_EXTRA = """
import sys
for name in ("opentelemetry", "prometheus_client", "structlog"):
    sys.modules[name] = None
from server import assemble
from server.errors import InvalidSetting
from server.settings import read_settings
from server.tuning.watching import UNSEEN
plain = read_settings([])
assert assemble.sight(plain) is UNSEEN and assemble.log_formatter(plain)
for flag in ("--otlp-endpoint=http://127.0.0.1:4317", "--metrics-address=127.0.0.1:0",
             "--log-format=json"):
    settings = read_settings([flag])
    try:
        assemble.log_formatter(settings), assemble.sight(settings)
    except InvalidSetting as error:
        print(error)
"""


def test_without_the_extra_the_settings_that_need_it_are_refused_and_the_server_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    named = ("KGT_OTLP_ENDPOINT", "KGT_METRICS_ADDRESS", "KGT_LOG_FORMAT")
    assert len(lines) == len(named)
    for line, setting in zip(lines, named, strict=True):
        assert setting in line
        assert "kgt[telemetry]" in line
