"""python -m bench.replicas: what two model replicas on Ray do compared with one.

A Ray cluster is made on this machine, and the model is put into it with one replica and then with
two, each on one thread. Callers ask for scores, each as soon as its last ones have come. The last
line is JSON. On a machine with fewer cores than replicas and callers need, two can do no more than
one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence

from server import assemble
from server.lm.defaults import PROMPT_SHARE, QUEUE
from server.settings import Settings
from server.tuning.ports import Branch, LanguageModel
from server.tuning.templates import reasoning_prompt
from testbed.ray_cluster import ray_cluster

_CONTINUATIONS = (" meat", " vegetables", " long walks in the park")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.replicas", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", default=Settings.model_fields["model"].default)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args(arguments)
    with ray_cluster(cpus=3) as cluster:
        rates = {n: _rate(cluster, n, given) for n in (1, 2)}
    for replicas, rate in rates.items():
        print(f"{replicas} replica(s): {rate:.1f} requests a second")
    ratio = rates[2] / rates[1]
    print(f"two over one: {ratio:.2f}")
    print(json.dumps({"requests_a_second": rates, "two_over_one": ratio}))


def _rate(cluster: str, replicas: int, given: argparse.Namespace) -> float:
    """Requests a second with so many replicas."""
    # Ray reads its environment when it is imported, which the cluster has to set first
    from server.lm.replicas.deploying import deploy
    from server.lm.replicas.replica import Engine, Scaling

    loaded = Settings(model=given.model, threads=1)
    engine = Engine(assemble.model_choice(loaded), QUEUE, 0, PROMPT_SHARE)
    name = f"bench-{replicas}"
    deploy(cluster, name, engine, Scaling(replicas, replicas))
    model = assemble.model(Settings(model=f"ray://{cluster}/{name}"))
    try:
        return asyncio.run(_asked(model, given.callers, given.seconds))
    finally:
        _remove(name)
        model.close()


def _remove(name: str) -> None:
    from ray import serve

    serve.delete(name)


async def _asked(model: LanguageModel, callers: int, seconds: float) -> float:
    await model.score([_branch(0)])
    end, count = time.monotonic() + seconds, 0

    async def caller(number: int) -> None:
        nonlocal count
        while time.monotonic() < end:
            await model.score([_branch(number + count)])
            count += 1

    began = time.monotonic()
    await asyncio.gather(*(caller(n) for n in range(callers)))
    return count / (time.monotonic() - began)


def _branch(number: int) -> Branch:
    facts = [f"dog {number} likes meat", f"dog {number} likes bones"]
    return Branch(reasoning_prompt(f"What does dog {number} enjoy?", facts), _CONTINUATIONS)


if __name__ == "__main__":
    main()
