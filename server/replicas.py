"""Start or change the model's replicas in a Ray cluster: `python -m server.replicas HOST:PORT`.

The model is that of the settings (KGT_MODEL, KGT_ADAPTER, KGT_THREADS, ...). Servers reach the
replicas by KGT_MODEL=ray://HOST:PORT. Run on a machine of the cluster; the replicas stay when this
ends. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import sys

from server import assemble
from server.errors import InvalidSetting, StartupError
from server.lm.replicas.address import NAME
from server.settings import Settings, read_settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 2 if nothing can be started."""
    parser = argparse.ArgumentParser(
        prog="python -m server.replicas",
        description="Start or change the model's replicas in a Ray cluster.",
        epilog="Other options are the server's settings, which name the model.",
    )
    parser.add_argument("cluster", help="host:port that `ray start --head` prints")
    parser.add_argument("--name", default=NAME, help="the application's name in Ray Serve")
    parser.add_argument("--least", type=int, default=1, help="replicas that always run")
    parser.add_argument("--most", type=int, default=0, help="replicas at most; 0 is --least")
    parser.add_argument(
        "--waiting", type=float, default=8.0, help="requests of a replica before more are started"
    )
    parser.add_argument("--cpus", type=float, default=1.0, help="processors a replica takes")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs a replica takes")
    given, rest = parser.parse_known_args(arguments)
    try:
        _deploy(given, read_settings(rest))
    except (StartupError, ImportError) as error:
        print(f"kgt: {error}", file=sys.stderr)
        return 2
    print(f"kgt: replicas run; KGT_MODEL=ray://{given.cluster}/{given.name}")
    return 0


def _deploy(given: argparse.Namespace, settings: Settings) -> None:
    """Raises StartupError."""
    from server.lm.replicas.deploying import deploy
    from server.lm.replicas.replica import Engine, Scaling

    if not 1 <= given.least <= (given.most or given.least):
        raise InvalidSetting("--least is at least 1, and --most not less")
    engine = Engine(
        assemble.model_choice(settings),
        settings.queue,
        settings.token_budget,
        settings.prompt_share,
        assemble.sight_of_replicas(settings),
    )
    scaling = Scaling(given.least, given.most or given.least, given.waiting, given.cpus, given.gpus)
    deploy(given.cluster, given.name, engine, scaling)


if __name__ == "__main__":
    raise SystemExit(main())
