"""python -m bench.fairness: times one user's calls while another user attacks the server.

The server is a process `python -m server` on the embedded store over loopback, with the model that
the settings name. A bystander asks a question and adds a fact, again and again: first while nothing
else happens, then during each attack. Every attack is bounded in count and time, and starts again
until the bystander has asked enough. The last line is JSON: the bystander's p50 and p99 in ms for
each attack, and the ratio of each p99 to the quiet one's.

`--checkout FOLDER` measures another version's server, from the same client.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sqlite3
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import workload
from bench.service import served, until_serving
from kgt.client import AsyncClient
from kgt.errors import CallError
from kgt.v1 import personalization_pb2 as pb

SUBJECTS = 20
TRIPLES_EACH = 12
FACTS = 10_000
"""Facts of the user who reads a large overlay."""
HISTORY = 5_000
"""Edits in the export that is imported."""
UNDONE = 200
"""How often one edit is undone and redone."""
TIMEOUT_S = 300.0
ATTACKER_S = 10.0
"""An attacker gives up a call after this, and goes on with the next."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attack works with: its own channel to the server, and the store's folder."""

    client: AsyncClient
    data: Path


@dataclass(frozen=True, slots=True)
class Took:
    """How long each of the bystander's questions and writes took."""

    answers_ms: list[float]
    writes_ms: list[float]


Attack = Callable[[Scene], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fairness", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--asks", type=int, default=20, help="questions of the bystander during each attack"
    )
    parser.add_argument("--only", default="", help="names of attacks, separated by commas")
    parser.add_argument(
        "--checkout", type=Path, help="the source of another version, whose server is measured"
    )
    given = parser.parse_args(arguments)
    names = given.only.split(",") if given.only else list(ATTACKS)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        workload.build_graph(data, SUBJECTS, TRIPLES_EACH)
        with served(data, checkout=given.checkout) as address:
            print(json.dumps(asyncio.run(_measured(address, data, names, given.asks))))


async def _measured(
    address: str, data: Path, names: Sequence[str], asks: int
) -> list[dict[str, Any]]:
    results = []
    async with AsyncClient(address, timeout_s=TIMEOUT_S) as client:
        await until_serving(client)
        await _prepared(client, names)
        await _bystander(client, 5)
        quiet = await _bystander(client, asks)
        results.append(_line("quiet", quiet, None))
        print(results[-1], flush=True)
        for name in names:
            async with (
                AsyncClient(address, timeout_s=TIMEOUT_S) as attacker,
                _repeated(ATTACKS[name], Scene(attacker, data)),
            ):
                took = await _bystander(client, asks)
            results.append(_line(name, took, quiet))
            print(results[-1], flush=True)
    return results


async def _bystander(client: AsyncClient, asks: int) -> Took:
    """Ask and write, one after the other."""
    took = Took([], [])
    for number in range(asks):
        subject = workload.subjects(SUBJECTS)[number % SUBJECTS]
        started = time.perf_counter()
        await client.answer(user="bystander", query=workload.query(subject))
        answered = time.perf_counter()
        await client.edit_facts(
            user="bystander", add=[("bystander", "HasA", f"thought {uuid.uuid4()}")]
        )
        took.answers_ms.append((answered - started) * 1000)
        took.writes_ms.append((time.perf_counter() - answered) * 1000)
    return took


def _line(name: str, took: Took, quiet: Took | None) -> dict[str, Any]:
    line: dict[str, Any] = {"attack": name}
    for kind, own in (("answer", took.answers_ms), ("write", took.writes_ms)):
        line |= {
            f"{kind}_p50_ms": round(_quantile(own, 0.5), 1),
            f"{kind}_p99_ms": round(_quantile(own, 0.99), 1),
        }
        if quiet is not None:
            calm = quiet.answers_ms if kind == "answer" else quiet.writes_ms
            line[f"{kind}_p99_over_quiet"] = round(_quantile(own, 0.99) / _quantile(calm, 0.99), 2)
    return line


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextlib.asynccontextmanager
async def _repeated(attack: Attack, scene: Scene) -> AsyncIterator[None]:
    """Repeat the attack while the block runs, also when the server refuses it."""

    async def run() -> None:
        while True:
            with contextlib.suppress(CallError):
                await attack(scene)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(run())
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# The attacks


async def _long_answer_before(scene: Scene) -> None:
    request: dict[str, Any] = {
        "user": "mallory",
        "query": workload.query("dog"),
        "answer": "carrots",
        "answer_before": "word " * 230_000,
    }
    await scene.client.within(2).personalize(**request)


async def _long_candidates(scene: Scene) -> None:
    candidates = [f"{n} " + "word " * 50_000 for n in range(14)]
    await scene.client.within(2).answer(
        user="mallory", query=workload.query("dog"), candidates=candidates
    )


async def _long_answer(scene: Scene) -> None:
    request: dict[str, Any] = {
        "user": "mallory",
        "query": workload.query("dog"),
        "answer": "word " * 50_000,
        "object": "carrots",
    }
    await scene.client.within(2).personalize(**request)


async def _long_imports(scene: Scene) -> None:
    """Long exports whose last line is wrong, so that nothing is ever taken in."""
    await scene.client.import_overlay(
        user="mallory-imports", lines=[*_EXPORT[:-1], '{"edits":0,"sha256":""}']
    )


async def _half_open_imports(scene: Scene) -> None:
    async def half() -> AsyncIterator[pb.ImportOverlayRequest]:
        for _ in range(8):
            yield pb.ImportOverlayRequest(user="mallory", lines=["x" * 1_000_000])
        await asyncio.sleep(TIMEOUT_S)

    async def one() -> None:
        with contextlib.suppress(Exception):
            await scene.client.stub.ImportOverlay(half(), timeout=5)

    await asyncio.gather(*(one() for _ in range(10)))


async def _large_neighborhoods(scene: Scene) -> None:
    await asyncio.gather(
        *(
            scene.client.get_neighborhood(user="large", concept="hub", page_size=500)
            for _ in range(8)
        )
    )


async def _all_facts(scene: Scene) -> None:
    token = ""
    while True:
        page = await scene.client.list_facts(user="large", page_token=token)
        token = page.next_page_token
        if not token:
            return


async def _large_corrections(scene: Scene) -> None:
    request: dict[str, Any] = {
        "user": "large",
        "query": "What does a hub need?",
        "subject": "hub",
        "answer": "oil",
        "verify": False,
    }
    await scene.client.personalize(**request, preview=True)


async def _deep_reverts(scene: Scene) -> None:
    first = (await scene.client.list_edits(user="undone", page_size=1)).edits[0]
    await scene.client.revert_edit(
        user="undone", edit_id=first.reverted_edit_id, skip_conflicts=True
    )


async def _erasing_beside_a_reader(scene: Scene) -> None:
    """Another process's reader holds the overlays' file while users are erased."""
    reader = sqlite3.connect(scene.data / "overlays.db", isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM edits").fetchone()
        for number in range(3):
            await scene.client.edit_facts(
                user=f"erased-{number}", add=[("cup", "AtLocation", "shelf")]
            )
            with contextlib.suppress(CallError):
                await scene.client.within(10).erase_user(user=f"erased-{number}")
    finally:
        reader.close()


ATTACKS: dict[str, Attack] = {
    "long_answer_before": _long_answer_before,
    "long_candidates": _long_candidates,
    "long_answer": _long_answer,
    "long_imports": _long_imports,
    "half_open_imports": _half_open_imports,
    "large_neighborhoods": _large_neighborhoods,
    "all_facts": _all_facts,
    "large_corrections": _large_corrections,
    "deep_reverts": _deep_reverts,
    "erasing_beside_a_reader": _erasing_beside_a_reader,
}

_EXPORT: list[str] = []


async def _prepared(client: AsyncClient, names: Sequence[str]) -> None:
    """The overlays that the attacks read."""
    if {"large_neighborhoods", "all_facts", "large_corrections"} & set(names):
        for start in range(0, FACTS, 500):
            facts = [("hub", "HasA", f"part {n}") for n in range(start, start + 500)]
            await client.edit_facts(user="large", add=facts)
    if "deep_reverts" in names:
        edit = (
            await client.edit_facts(user="undone", add=[("cup", "AtLocation", "shelf")])
        ).edit.id
        for _ in range(UNDONE):
            edit = (await client.revert_edit(user="undone", edit_id=edit)).edit.id
    if "long_imports" in names:
        for number in range(HISTORY):
            await client.edit_facts(user="long", add=[("diary", "HasA", f"page {number}")])
        _EXPORT.extend([message.line async for message in client.export_overlay(user="long")])


if __name__ == "__main__":
    main()
