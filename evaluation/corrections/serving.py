"""The server that is asked: started here on a free port of the loopback interface."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import testbed.serving
from server import assemble
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
    use_cases = assemble.use_cases(settings, store, language_model, vocabulary)
    try:
        async with testbed.serving.served(use_cases) as (address, _):
            yield address
    finally:
        await store.close()
