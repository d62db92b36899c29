"""python -m bench.telemetry: what traces, metrics and structured logs cost a server in throughput.

Two servers run at the same time on the same base graph, with the model that the settings name: one
tells nothing about itself, the other sends traces and metrics to a collector in this process,
serves metrics and logs JSON. Only one of them is asked at a time, in turns, each first as often as
second. The load is that of bench.service. A figure is the median over the turns; `cost` is the
median of 1 - with / without over the pairs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import workload
from bench.service import ANSWER, CONCEPTS, TIMEOUT_S, TRIPLES_EACH, Load, run, until_serving
from kgt.client import AsyncClient
from testbed.collector import Collected, collector
from testbed.processes import server_process

WITHOUT, WITH = "without", "with"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.telemetry", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--clients", type=int, default=8, help="concurrent clients")
    parser.add_argument("--each", type=int, default=10, help="requests of each client in a turn")
    parser.add_argument("--turns", type=int, default=8, help="pairs of measurements; even")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, collector() as collected:
        watching = {
            "KGT_OTLP_ENDPOINT": collected.endpoint,
            "KGT_METRICS_ADDRESS": "127.0.0.1:0",
            "KGT_LOG_FORMAT": "json",
        }
        folders = {name: Path(folder, name) for name in (WITHOUT, WITH)}
        for each in folders.values():
            workload.build_graph(each, CONCEPTS, TRIPLES_EACH)
        with (
            server_process("server", folders[WITHOUT]) as without,
            server_process("server", folders[WITH], env=watching) as watched,
        ):
            addresses = {WITHOUT: without.address, WITH: watched.address}
            rates = asyncio.run(
                _turns(
                    addresses,
                    given.turns,
                    Load(given.clients, given.each, verify=True, read=ANSWER),
                )
            )
            without.stop()
            watched.stop()
        print(json.dumps(_told(rates, collected)))


async def _turns(addresses: dict[str, str], turns: int, load: Load) -> dict[str, list[float]]:
    """Requests a second of each server, turn by turn."""
    rates: dict[str, list[float]] = {name: [] for name in addresses}
    for address in addresses.values():
        async with AsyncClient(address, timeout_s=TIMEOUT_S) as client:
            await until_serving(client)
            await run(client, load, "warm-up")
    for turn in range(turns):
        order = list(addresses) if turn % 2 == 0 else list(addresses)[::-1]
        for name in order:
            async with AsyncClient(addresses[name], timeout_s=TIMEOUT_S) as client:
                started = time.perf_counter()
                tally = await run(client, load, str(turn))
                took_s = time.perf_counter() - started
            if tally.errors:
                raise SystemExit(f"{name}: {sorted(set(tally.errors))}")
            rates[name].append(load.clients * load.each / took_s)
        print(turn + 1, {name: round(of[-1], 3) for name, of in rates.items()}, flush=True)
    return rates


def _told(rates: dict[str, list[float]], collected: Collected) -> dict[str, object]:
    pairs = zip(rates[WITH], rates[WITHOUT], strict=True)
    costs = sorted(1 - watched / plain for watched, plain in pairs)
    return {
        "requests_per_second": {
            name: round(statistics.median(of), 3) for name, of in rates.items()
        },
        "cost": round(statistics.median(costs), 4),
        "cost_least_and_most": [round(costs[0], 4), round(costs[-1], 4)],
        "spans": collected.spans.total(),
    }


if __name__ == "__main__":
    main()
