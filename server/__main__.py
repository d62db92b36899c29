"""python -m server: read settings, assemble, serve, stop with grace. `python -m server check` verifies the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys

from server import assemble
from server.errors import KgtError, StartupError
from server.rpc.service import UseCases
from server.rpc.serving import Probes, new_server
from server.settings import Settings, read_settings
from server.tuning.ports import Branch

_HEALTH_INTERVAL_S = 2.0

_log = logging.getLogger("kgt")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 2 when the server cannot start, 1 when a check finds something."""
    arguments = sys.argv[1:] if arguments is None else arguments
    checking = arguments[:1] == ["check"]
    try:
        settings = read_settings(arguments[1:] if checking else arguments)
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        return asyncio.run(check(settings) if checking else serve(settings))
    except StartupError as error:
        print(f"kgt: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def check(settings: Settings) -> int:
    """Rebuild every overlay from its log and compare. 0: all is well; 1: what differs was printed."""
    try:
        problems, counts = await assemble.checked(settings)
    except StartupError:
        raise
    except KgtError as error:
        print(error)
        return 1
    for problem in problems:
        print(problem)
    print(", ".join(f"{n} {name}" for name, n in counts.items()) + (": all is well" if not problems else ""))
    return 1 if problems else 0


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests in flight get the grace time. Returns the exit status."""
    relations = await assemble.vocabulary(settings)
    store = await assemble.open_store(settings, relations)
    try:
        model = await asyncio.to_thread(assemble.model, settings)
        await serve_until_stopped(settings, assemble.use_cases(settings, store, model, relations))
    finally:
        await store.close()
    return 0


async def serve_until_stopped(settings: Settings, use_cases: UseCases) -> None:
    """Listen, watch, and on the first signal stop with grace. Raises StartupError when the port is taken."""
    server, probes = new_server(use_cases)
    await probes.set(serving=False)
    try:
        port = server.add_insecure_port(settings.address)
    except RuntimeError as error:
        raise StartupError(f"cannot listen on {settings.address}: is another server there? (KGT_ADDRESS)") from error
    stopped = _stop_signal()
    await server.start()
    print(f"kgt: listening on {settings.host}:{port}", flush=True)
    if not use_cases.store.base_fingerprint:
        _log.warning("the base graph is empty; load one with `python -m kgload starter`")
    watch = asyncio.create_task(_watch_health(probes, use_cases))
    await stopped.wait()
    _log.info("stopping: requests in flight have %g s", settings.grace_s)
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    await probes.stop()
    await server.stop(settings.grace_s)
    await asyncio.to_thread(use_cases.model.close)


def _stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; a second one ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stopped.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stopped


async def _watch_health(probes: Probes, use_cases: UseCases) -> None:
    """SERVING once the model has answered, and while the store does."""
    # One small question, so that the first user does not pay for the first use of the weights.
    await use_cases.model.score([Branch("To answer the query", (" ready",))])
    told: str | None = None
    while True:
        try:
            await use_cases.store.health()
            fault = ""
        except KgtError as error:
            fault = str(error) or type(error).__name__
        if fault != told:  # once, not for each look at a store that is away for an hour
            await probes.set(serving=not fault)
            if fault:
                _log.warning("not serving: %s", fault)
            else:
                _log.info("serving")
            told = fault
        await asyncio.sleep(_HEALTH_INTERVAL_S)


if __name__ == "__main__":
    raise SystemExit(main())
