"""python -m bench.service: measures a whole server on this machine, with clients at once.

The server is a process `python -m server` on the embedded store over loopback, with the model that
the settings name (KGT_MODEL and the others apply). Each client is a user of its own, sends its next
request when the last one is answered, and personalizes once for every four questions. It goes
through the concepts in an order of its own. With `--retrieve`, each run is made again with clients
that retrieve facts instead of asking for answers, and has a row of its own. The mean times of the
stages, as the server reports them, and the tokens are printed too. `--checkout FOLDER` compares
with another version. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import against, workload
from kgt.client import AsyncClient
from kgt.errors import CallError
from kgt.v1 import personalization_pb2 as pb

CONCEPTS = 100
TRIPLES_EACH = 12
READS_PER_PERSONALIZE = 4
ANSWER, RETRIEVE, PERSONALIZE = "answer", "retrieve", "personalize"
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients of one run do."""

    clients: int
    each: int
    """Requests of each client."""
    verify: bool
    """Whether a Personalize generates the answers."""
    read: str
    """What they ask for between two Personalizes: ANSWER or RETRIEVE."""


@dataclass(slots=True)
class Tally:
    """The results of one run's clients."""

    took_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long each request took, by kind."""
    errors: list[str] = field(default_factory=list)
    costs: dict[str, list[pb.Cost]] = field(default_factory=lambda: defaultdict(list))
    """The cost that the server reports for each request, by kind."""

    def stages(self) -> str:
        """The mean cost of a request of each kind."""
        return "\n".join(
            f"  {kind}: {_mean_cost(costs)}" for kind, costs in sorted(self.costs.items())
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.service",
        description=(__doc__ or "").partition("\n")[0],
        parents=[against.options()],
    )
    parser.add_argument("--clients", default="1,8,32,128", help="numbers of concurrent clients")
    parser.add_argument(
        "--each", type=int, default=5, help="requests of each client; a multiple of 5 keeps 1:4"
    )
    parser.add_argument("--least", type=int, default=40, help="the fewest requests in a run")
    parser.add_argument(
        "--no-verify", action="store_true", help="Personalize without generating the answers"
    )
    parser.add_argument(
        "--retrieve",
        action="store_true",
        help="also measure clients that retrieve facts instead of asking for answers",
    )
    parser.add_argument(
        "--address", default="", help="a server that is already running, on this benchmark's graph"
    )
    given = parser.parse_args(arguments)
    if given.checkout:
        against.compare("bench.service", arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        workload.build_graph(data, CONCEPTS, TRIPLES_EACH)
        with served(data, given.address) as address:
            print(json.dumps(asyncio.run(_runs(address, given))))


async def _runs(address: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    async with AsyncClient(address, timeout_s=TIMEOUT_S) as client:
        await until_serving(client)
        await run(client, Load(2, 5, not given.no_verify, ANSWER), "warm-up")
        reads = (ANSWER, RETRIEVE) if given.retrieve else (ANSWER,)
        numbers = map(int, given.clients.split(","))
        for clients, read in itertools.product(numbers, reads):
            each = max(given.each, -(-given.least // clients))
            load = Load(clients, each, not given.no_verify, read)
            started = time.perf_counter()
            tally = await run(client, load, str(clients))
            results.append(_line(load, tally, time.perf_counter() - started))
            print(results[-1], *sorted(set(tally.errors)))
            print(tally.stages(), flush=True)
    return results


async def run(client: AsyncClient, load: Load, name: str) -> Tally:
    """What a run's clients saw. `name` distinguishes their users from those of other runs."""
    tally = Tally()
    await asyncio.gather(
        *(_client(client, load, f"{name}-{n}", n, tally) for n in range(load.clients))
    )
    return tally


async def _client(client: AsyncClient, load: Load, name: str, number: int, tally: Tally) -> None:
    user = f"{load.read} {name}"
    rng = random.Random(name)  # the same subjects, whatever is asked for
    subjects = workload.subjects(CONCEPTS)
    rng.shuffle(subjects)
    for turn in range(load.each):
        subject = subjects[turn % len(subjects)]
        query = workload.query(subject)
        # Each client begins at another place of the round, so they do not all personalize at once
        kind = load.read if (turn + number) % (READS_PER_PERSONALIZE + 1) else PERSONALIZE
        started = time.perf_counter()
        try:
            response: pb.PersonalizeResponse | pb.AnswerResponse | pb.RetrieveResponse
            if kind == PERSONALIZE:
                feedback = workload.triples(subject, TRIPLES_EACH * 2)[-1].tail.text
                response = await client.personalize(
                    user=user, query=query, answer=feedback, verify=load.verify
                )
            elif kind == RETRIEVE:
                response = await client.retrieve(user=user, query=query)
            else:
                response = await client.answer(user=user, query=query)
        except CallError as error:
            tally.errors.append(type(error).__name__)
        else:
            tally.took_s[kind].append(time.perf_counter() - started)
            tally.costs[kind].append(response.cost)


def _mean_cost(costs: Sequence[pb.Cost]) -> str:
    stages: Counter[str] = Counter()
    for cost in costs:
        stages.update({s.stage: s.duration_ms for s in cost.stages})
    told = ", ".join(f"{stage} {total / len(costs):.0f}" for stage, total in stages.items())
    read = sum(cost.tokens_read for cost in costs) / len(costs)
    generated = sum(cost.tokens_generated for cost in costs) / len(costs)
    return f"{len(costs)} requests, {read:.0f} tokens read, {generated:.1f} generated; ms: {told}"


def _line(load: Load, tally: Tally, elapsed_s: float) -> dict[str, Any]:
    """The figures of all requests of a run, and the median of its reads alone."""
    took_s = sorted(itertools.chain.from_iterable(tally.took_s.values()))
    named = {"request": load.read} if load.read != ANSWER else {}
    return {
        "clients": load.clients,
        **named,
        "requests_per_second": round(len(took_s) / elapsed_s, 3),
        "p50_ms": _at(took_s, 50),
        "p99_ms": _at(took_s, 99),
        "reads_p50_ms": _at(sorted(tally.took_s[load.read]), 50),
        "errors": len(tally.errors),
    }


def _at(took_s: Sequence[float], percent: int) -> float:
    """A percentile of sorted times, in ms; NaN where there are none."""
    if not took_s:
        return float("nan")
    return round(took_s[min(len(took_s) - 1, len(took_s) * percent // 100)] * 1000, 1)


async def until_serving(client: AsyncClient) -> None:
    """Wait for a first answer. The server says UNAVAILABLE until its model is ready."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            await client.answer(user="first", query=workload.query("dog"))
            return
        except CallError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)


@contextmanager
def served(data: Path, address: str = "", checkout: Path | None = None) -> Iterator[str]:
    """The address of a running server: the given one, or of a process that ends with the block.

    `checkout` is the folder with another version's source, for the process to run.
    """
    if address:
        yield address
        return
    command = [sys.executable, "-m", "server", "--data", str(data), "--address", "127.0.0.1:0"]
    # What is measured is how fast the server is, not how often a user may call.
    environment = {"KGT_LOG_LEVEL": "warning", "KGT_USER_RATE": "none", **os.environ}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "listening on" not in line:
            raise SystemExit("the server did not start; its complaint is above")
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    main()
