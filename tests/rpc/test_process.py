"""The server as a process: killed at any point, stopped with grace, refused at start."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from kgt.addresses import channel_options, for_client
from kgt.client import AsyncClient, Client
from kgt.errors import CallError, Unavailable, from_rpc_error
from kgt.v1 import personalization_pb2 as pb
from kgt.v1 import personalization_pb2_grpc as pb_grpc
from server.__main__ import _watch_health, serve
from server.errors import BaseLoading, StartupError, StoreUnreachable
from server.health import status_of
from server.rpc.service import UseCases
from server.rpc.serving import Probes
from server.settings import Settings
from server.stores.sqlite.store import SqliteStore
from server.tuning.ports import LanguageModel, Sight
from testbed.bases import build_base
from testbed.processes import ROOT, free_port, server_process
from tests.fixed_model import FixedModel
from tests.rpc.running import BASE, ENJOY, PHRASES, VOCABULARY

FIXED = "tests.rpc.fixed_server"
KILLS = 50


@pytest.mark.story
def test_killed_at_any_point_the_overlay_is_at_an_acknowledged_revision_or_the_next(
    tmp_path: Path,
) -> None:
    """Edits of two triples and a response each, written as fast as they go, while the server is
    killed 50 times."""
    build_base(tmp_path, BASE, VOCABULARY)
    rng = random.Random(7)
    acknowledged = 0
    for _ in range(KILLS):
        with server_process(FIXED, tmp_path) as server:
            killer = threading.Timer(rng.uniform(0.0, 0.25), server.process.kill)
            killer.start()
            try:
                with Client(server.address, timeout_s=5) as client:
                    while True:
                        n = acknowledged + 1
                        response = client.edit_facts(
                            user="alice",
                            add=[("dog", "has a", f"left {n}"), ("dog", "has a", f"right {n}")],
                        )
                        acknowledged = response.edit.revision
            except CallError:
                pass
            killer.join()
            server.kill()
        acknowledged = _checked(tmp_path, acknowledged)
    assert acknowledged > KILLS, "edits were made between the kills"


def _checked(folder: Path, acknowledged: int) -> int:
    store = SqliteStore(folder, VOCABULARY)
    try:
        assert asyncio.run(store.check()) == []
        revision = asyncio.run(store.snapshot("alice")).revision
        assert revision in (acknowledged, acknowledged + 1)
        marks = asyncio.run(store.overlay("alice")).marks
        assert len(marks) == 2 * revision, "each edit is there whole or not at all"
    finally:
        store.close_now()
    return revision


def test_a_repeated_request_after_a_kill_gets_the_first_response(tmp_path: Path) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    arguments: dict[str, Any] = {
        "user": "alice",
        "query": ENJOY,
        "answer": "fish",
        "request_id": "r-1",
    }
    with server_process(FIXED, tmp_path) as server, Client(server.address) as client:
        first = client.personalize(**arguments)
        server.kill()
    with server_process(FIXED, tmp_path) as server, Client(server.address) as client:
        assert client.personalize(**arguments) == first
        assert client.answer(user="alice", query=ENJOY).text == "fish"


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(tmp_path: Path) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    with server_process(FIXED, tmp_path) as server:
        async with AsyncClient(server.address) as client:
            await client.answer(user="alice", query=ENJOY)
            calls = [
                asyncio.ensure_future(
                    client.edit_facts(user=f"user {n}", add=[("dog", "has a", "hat")])
                )
                for n in range(30)
            ]
            await asyncio.sleep(0)
            status, log = await asyncio.to_thread(server.stop)
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert status == 0
        assert "stopping" in log
        assert "Traceback" not in log
        done = [n for n, r in enumerate(results) if not isinstance(r, BaseException)]
        assert all(isinstance(r, CallError) for r in results if isinstance(r, BaseException))
    store = SqliteStore(tmp_path, VOCABULARY)
    for n in done:
        assert len(await store.history(f"user {n}")) == 1, "what was acknowledged is there"
    await store.close()


def refused(*arguments: str) -> str:
    """What a server says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "listening" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--address", "0.0.0.0:0"], "KGT_INSECURE_BIND"),
        (["--address", "nonsense"], "KGT_ADDRESS"),
        (["-k", "0"], "KGT_K"),
        (["--scored-mass", "2"], "KGT_SCORED_MASS"),
        (["--vocabulary", "/no/such/file"], "KGT_VOCABULARY"),
        (
            ["--auth", "jwt", "--auth-issuer", "i", "--auth-audience", "a", "--auth-keys", "/none"],
            "/none cannot be read",
        ),
        (["--tls-certificate", "/none", "--tls-key", "/none"], "/none cannot be read"),
        (["--model", "/no/such/folder"], "no folder"),
        (["--model", "/no/such/model.gguf"], "no file"),
    ],
)
def test_a_wrong_setting_is_said_before_it_listens(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    assert complaint in refused("--data", str(tmp_path), *arguments)


def test_a_folder_that_is_no_causal_model_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    assert "no config.json" in refused("--data", str(tmp_path), "--model", str(folder))
    (folder / "config.json").write_text('{"model_type": "vit"}')
    assert "causal language model" in refused("--data", str(tmp_path), "--model", str(folder))


def test_the_default_model_that_was_not_fetched_is_named_with_the_command(tmp_path: Path) -> None:
    assert "python -m server.lm.fetch" in refused(
        "--data", str(tmp_path), "--cache", str(tmp_path / "empty")
    )


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "localhost:{}"])
def test_a_second_server_on_the_same_port_is_refused(tmp_path: Path, address: str) -> None:
    with server_process(FIXED, tmp_path) as server:
        taken = address.format(server.address.rpartition(":")[2])
        # The second one names a model that does not exist: it is not looked for.
        said = refused(
            "--data", str(tmp_path / "other"), "--address", taken, "--model", "/no/such/folder"
        )
        assert said == f"kgt: cannot listen on {taken}: another server is there (KGT_ADDRESS)\n"
    assert not (tmp_path / "other").exists(), "it has not opened a store either"


def test_an_address_that_this_machine_has_not_is_told(tmp_path: Path) -> None:
    said = refused(
        "--data", str(tmp_path), "--address", "192.0.2.1:50051", "--insecure-bind", "true"
    )
    assert (
        said
        == "kgt: cannot listen on 192.0.2.1:50051: this machine has no such address (KGT_ADDRESS)\n"
    )


async def unwanted(_: Settings, __: Sight) -> LanguageModel:
    raise AssertionError("a model is loaded although the port is taken")


async def refusal_of_a_first_try(address: str) -> CallError:
    """What an Answer fails with, without the client's retries."""
    options = [("grpc.enable_retries", 0), *channel_options(for_client(address))]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            await pb_grpc.PersonalizationServiceStub(channel).Answer(
                pb.AnswerRequest(user="alice", query=ENJOY)
            )
    return from_rpc_error(failed.value)


class Loading:
    """A model's loading that takes until the test says so."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: Settings, __: Sight) -> LanguageModel:
        self.begun.set()
        await self.ended.wait()
        return FixedModel(PHRASES)


async def test_while_its_model_is_loaded_a_server_says_so_and_keeps_its_port(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    loading, address = Loading(), f"127.0.0.1:{free_port()}"
    settings = Settings(address=address, data=tmp_path)
    first = asyncio.create_task(serve(settings, loading))
    try:
        await loading.begun.wait()
        assert await asyncio.to_thread(status_of, for_client(address)) == "NOT_SERVING"
        with pytest.raises(StartupError, match="another server is there"):
            await serve(settings, unwanted)
        refusal = await refusal_of_a_first_try(address)
        assert (type(refusal), refusal.reason) == (Unavailable, "STARTING")
        assert refusal.retry_after_s
        assert "listening" not in capsys.readouterr().out
        loading.ended.set()
        async with AsyncClient(address, timeout_s=60) as client:  # waits by itself
            assert (await client.answer(user="alice", query=ENJOY)).text == "meat"
        assert f"kgt: listening on {address}" in capsys.readouterr().out
    finally:
        loading.ended.set()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_server_that_is_still_starting(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loading = Loading()
    starting = asyncio.create_task(
        serve(Settings(address=f"127.0.0.1:{free_port()}", data=tmp_path), loading)
    )
    await loading.begun.wait()
    signal.raise_signal(number)
    with pytest.raises(asyncio.CancelledError):
        await starting
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "kgt: stopped while it was starting\n")


def test_check_says_what_it_found(tmp_path: Path) -> None:
    build_base(tmp_path, BASE, VOCABULARY)
    command = [sys.executable, "-m", "server", "check", "--data", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "all is well" in done.stdout) == (0, True)


def test_an_unreachable_server_is_unavailable() -> None:
    with Client("127.0.0.1:1", timeout_s=5) as client, pytest.raises(CallError) as failed:
        client.answer(user="alice", query=ENJOY)
    assert type(failed.value).__name__ in ("Unavailable", "DeadlineExceeded")
    assert isinstance(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode)


async def test_why_it_does_not_serve_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loading, away = BaseLoading(), StoreUnreachable("is away")
    found = iter([loading, loading, away, away, loading, None, None, away, None])
    set_to: list[bool] = []

    async def health() -> None:
        if (fault := next(found, _Ended())) is not None:
            raise fault

    async def score(branches: object) -> None:
        assert branches

    async def set_probes(*, serving: bool) -> None:
        set_to.append(serving)

    async def follow() -> None:
        pass

    use_cases = SimpleNamespace(
        store=SimpleNamespace(health=health),
        model=SimpleNamespace(score=score),
        erasing=SimpleNamespace(follow=follow),
    )
    monkeypatch.setattr("server.__main__._HEALTH_INTERVAL_S", 0)
    caplog.set_level("INFO", "kgt")
    with pytest.raises(_Ended):
        await _watch_health(
            cast(Probes, SimpleNamespace(set=set_probes)), cast(UseCases, use_cases)
        )
    told = [
        f"not serving: {fault}" if fault else "serving"
        for fault in (loading, away, loading, None, away, None)
    ]
    assert [record.getMessage() for record in caplog.records] == told
    assert set_to == [False, False, False, True, False, True]


class _Ended(Exception):
    """The test has seen enough."""
