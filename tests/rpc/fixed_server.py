"""python -m tests.rpc.fixed_server --data DIR --address HOST:PORT: the whole server, with the model of fixed_model.py.

For tests that kill and restart a real process: it starts in a second, where loading weights takes several.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from server import assemble
from server.__main__ import serve_until_stopped
from server.settings import read_settings
from tests.fixed_model import FixedModel
from tests.rpc.running import PHRASES


async def main() -> None:
    logging.basicConfig(level="INFO", stream=sys.stderr)
    settings = read_settings(sys.argv[1:])
    relations = await assemble.vocabulary(settings)
    store = await assemble.open_store(settings, relations)
    await serve_until_stopped(settings, assemble.use_cases(settings, store, FixedModel(PHRASES), relations))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
