"""The server that is asked: started here on a free port of the loopback interface."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from server import assemble
from server.rpc.serving import new_server
from server.settings import Settings
from server.tuning.ports import LanguageModel


@contextlib.asynccontextmanager
async def served(
    settings: Settings, folder: Path, language_model: LanguageModel
) -> AsyncIterator[str]:
    """The address of a server until the block ends. Its store, if embedded, is in `folder`."""
    settings = settings.model_copy(update={"data": folder})
    vocabulary = await assemble.vocabulary(settings)
    store = await assemble.open_store(settings, vocabulary)
    server, probes = new_server(assemble.use_cases(settings, store, language_model, vocabulary))
    port = server.add_insecure_port("127.0.0.1:0")
    await probes.set(serving=True)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
        await store.close()
