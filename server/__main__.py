"""Run the server: read the settings, assemble the service, serve, stop with grace.

`python -m server COMMAND` does something else with the store (server.commands).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from kgt.addresses import Address
from server import assemble, commands
from server.errors import KgtError, StartupError
from server.rpc.listening import listen
from server.rpc.service import PersonalizationService, UseCases
from server.rpc.serving import Probes, server_of
from server.settings import Settings, read_settings
from server.tuning.ports import Branch, LanguageModel, Sight

LoadModel = Callable[[Settings, Sight], Awaitable[LanguageModel]]

_HEALTH_INTERVAL_S = 2.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("kgt")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is success, 1 a command that found something wrong, 2 a server or a command that cannot start,
    130 a stop while it was starting.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    command = commands.named(arguments)
    try:
        settings = read_settings(list(command.settings) if command else arguments)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(assemble.log_formatter(settings))
        logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
        return asyncio.run(commands.done(command, settings) if command else serve(settings))
    except StartupError as error:
        print(f"kgt: {error}", file=sys.stderr)
        return 2
    except asyncio.CancelledError:  # a signal while it was starting, reported there
        return 130
    except KeyboardInterrupt:
        print("kgt: stopped", file=sys.stderr)
        return 130


async def serve(settings: Settings, load_model: LoadModel = assemble.loaded_model) -> int:
    """Serve until SIGTERM or SIGINT, then give requests in flight the grace time.

    The port is taken first: if it is not free, that is known before a model is loaded, and probes
    are answered from then on. Returns the exit status. Raises StartupError.
    """
    sight = assemble.sight(settings)
    try:
        return await _serve(settings, load_model, sight)
    finally:
        await asyncio.to_thread(sight.close)


async def _serve(settings: Settings, load_model: LoadModel, sight: Sight) -> int:
    load = settings.load
    service = PersonalizationService(None, load)
    server, probes = server_of(
        service, load, assemble.callers(settings), settings.new_rates(), sight=sight
    )
    sight.gauge("kgt.serving", lambda: probes.serving)
    await probes.set(serving=False)
    tls = settings.tls_files
    port = listen(server, Address.parse(settings.address), tls.credentials() if tls else None)
    await server.start()
    try:
        _leave_on_signal()
        use_cases = await _assembled(settings, load_model, sight)
        stopped = _stop_signal()
        try:
            service.start(use_cases)
            print(f"kgt: listening on {settings.host}:{port}", flush=True)
            await _watch_until(stopped, probes, use_cases)
            _log.info("stopping: requests in flight have %g s", settings.grace_s)
            await probes.stop()
            await server.stop(settings.grace_s)
        finally:
            await asyncio.to_thread(use_cases.model.close)
            await use_cases.store.close()
    finally:
        await server.stop(None)
    return 0


async def _assembled(settings: Settings, load_model: LoadModel, sight: Sight) -> UseCases:
    """Open the store, load the model, and make the use cases from them. Raises StartupError."""
    relations = await assemble.vocabulary(settings)
    store = await assemble.open_store(settings, relations)
    try:
        model = await load_model(settings, sight)
    except BaseException:
        await store.close()
        raise
    return assemble.use_cases(settings, store, model, relations, sight)


async def _watch_until(stopped: asyncio.Event, probes: Probes, use_cases: UseCases) -> None:
    """Keep the probes up to date until it is time to stop."""
    if not use_cases.store.base_fingerprint:
        _log.warning("the base graph is empty; load one with `python -m kgload starter`")
    watch = asyncio.create_task(_watch_health(probes, use_cases))
    await stopped.wait()
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch


def _leave_on_signal() -> None:
    """Let a signal cancel the start, while nothing is in flight yet.

    A second signal ends the process at once.
    """
    loop, starting = asyncio.get_running_loop(), asyncio.current_task()
    assert starting is not None

    def leave(number: signal.Signals) -> None:
        print("kgt: stopped while it was starting", file=sys.stderr, flush=True)
        for each in _SIGNALS:
            loop.add_signal_handler(each, os._exit, 128 + number)
        starting.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, leave, number)


def _stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets. A second signal ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stopped.set()
        loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    return stopped


async def _watch_health(probes: Probes, use_cases: UseCases) -> None:
    """Report SERVING once the model has answered, for as long as the store answers."""
    told: str | None = None
    asked = False
    while True:
        try:
            if not asked:
                # The first use of the weights is slow: one small question comes before the users'
                await use_cases.model.score([Branch("To answer the query", (" ready",))])
                asked = True
            await use_cases.store.health()
            await use_cases.erasing.follow()
            fault = ""
        except KgtError as error:
            fault = str(error) or type(error).__name__
        if fault != told:  # only changes are logged: a store may be away for an hour
            await probes.set(serving=not fault)
            if fault:
                _log.warning("not serving: %s", fault)
            else:
                _log.info("serving")
            told = fault
        await asyncio.sleep(_HEALTH_INTERVAL_S)


if __name__ == "__main__":
    raise SystemExit(main())
