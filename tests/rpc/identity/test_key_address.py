"""Keys at an address: kept, fetched again at a bounded rate, and used while it does not answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from server.rpc.errors import KeysUnavailable
from server.rpc.identity.key_address import EARLY_S, KEPT_S, PAUSE_S, REFRESH_S, KeyAddress
from testbed.keys import Issuer, key_set

FIRST = Issuer()
SECOND = replace(FIRST, key_id="second", key=ec.generate_private_key(ec.SECP256R1()))


class Publisher:
    """An issuer's server. Counts how often it is asked."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = key_set(FIRST), 200, 0
        self.answers = threading.Event()
        self.answers.set()
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                publisher.answers.wait()
                self.send_response(publisher.status)
                self.send_header("Location", "/other")
                self.end_headers()
                self.wfile.write(publisher.body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture(scope="module")
def running_publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    thread = threading.Thread(target=publisher.server.serve_forever, args=(0.01,))
    thread.start()
    yield publisher
    publisher.server.shutdown()
    thread.join()
    publisher.server.server_close()


@pytest.fixture
def publisher(running_publisher: Publisher) -> Publisher:
    running_publisher.body, running_publisher.status = key_set(FIRST), 200
    running_publisher.asked = 0
    return running_publisher


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def ids(keys: KeyAddress, key_id: str) -> list[str | None]:
    return [key.id for key in await keys.find(key_id)]


async def test_keys_are_fetched_once_for_all_who_wait_and_then_kept(
    publisher: Publisher, clock: Clock
) -> None:
    keys = KeyAddress(publisher.url, clock)
    assert await asyncio.gather(*(ids(keys, "first") for _ in range(20))) == [["first"]] * 20
    clock.now_s += EARLY_S
    assert await ids(keys, "first") == ["first"]
    assert publisher.asked == 1
    clock.now_s = REFRESH_S + 1
    publisher.body = key_set(SECOND)
    assert await ids(keys, "first") == [], "a withdrawn key counts no longer"
    assert publisher.asked == 2


async def test_an_unknown_key_is_looked_for_and_not_more_often_than_allowed(
    publisher: Publisher, clock: Clock
) -> None:
    keys = KeyAddress(publisher.url, clock)
    await ids(keys, "first")
    publisher.body = key_set(FIRST, SECOND)
    for n in range(50):
        assert await ids(keys, f"unknown {n}") == []
    assert publisher.asked == 1
    clock.now_s += PAUSE_S
    assert await ids(keys, "second") == ["second"]
    assert publisher.asked == 2


async def test_a_flood_of_unknown_keys_does_not_wait_in_the_server(
    publisher: Publisher, clock: Clock
) -> None:
    keys = KeyAddress(publisher.url, clock)
    await ids(keys, "first")
    clock.now_s += PAUSE_S
    flood = [asyncio.ensure_future(ids(keys, f"unknown {n}")) for n in range(1000)]
    assert await ids(keys, "first") == ["first"]
    assert await asyncio.gather(*flood) == [[]] * 1000
    assert publisher.asked == 2


@pytest.mark.parametrize(
    ("status", "body"), [(500, ""), (200, "no keys"), (200, '{"keys": []}'), (302, key_set(SECOND))]
)
async def test_while_it_does_not_answer_the_keys_are_used_for_a_time(
    publisher: Publisher, clock: Clock, status: int, body: str
) -> None:
    keys = KeyAddress(publisher.url, clock)
    await ids(keys, "first")
    publisher.status, publisher.body = status, body
    clock.now_s = KEPT_S
    for _ in range(20):
        assert await ids(keys, "first") == ["first"]
    assert publisher.asked == 2, "failures are bounded too"
    clock.now_s += 1
    with pytest.raises(KeysUnavailable) as refused:
        await ids(keys, "first")
    assert refused.value.retry_after_s
    publisher.status, publisher.body = 200, key_set(FIRST)
    clock.now_s += refused.value.retry_after_s
    assert await ids(keys, "first") == ["first"]


@pytest.mark.parametrize("age_s", [EARLY_S + 1, REFRESH_S + PAUSE_S + 1])
async def test_a_key_server_that_hangs_delays_nobody_whose_key_is_known(
    publisher: Publisher, clock: Clock, age_s: float
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    keys = KeyAddress(publisher.url, clock)
    await ids(keys, "first")
    if age_s > REFRESH_S:
        clock.now_s = age_s - PAUSE_S
        publisher.status = 500
        assert await ids(keys, "first") == ["first"]
        publisher.status = 200
    asked = publisher.asked + 1
    clock.now_s = age_s
    publisher.body = key_set(FIRST, SECOND)
    publisher.answers.clear()
    for _ in range(100):
        assert await ids(keys, "first") == ["first"]
    assert await asyncio.to_thread(int, "7") == 7, "the threads that others share are free"
    publisher.answers.set()
    assert await ids(keys, "second") == ["second"], "the fetch had not ended before"
    assert publisher.asked == asked


async def test_a_caller_who_leaves_does_not_end_the_fetch_of_the_others(
    publisher: Publisher, clock: Clock
) -> None:
    keys = KeyAddress(publisher.url, clock)
    leaving, staying = (asyncio.ensure_future(ids(keys, "first")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == ["first"]
    assert publisher.asked == 1
