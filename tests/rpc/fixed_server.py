"""python -m tests.rpc.fixed_server --data DIR --address HOST:PORT: the whole server, with the model
of fixed_model.py.

For tests that kill and restart a real process: it starts in a second, where loading weights takes
several.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from server.__main__ import serve
from server.errors import StartupError
from server.settings import Settings, read_settings
from server.tuning.ports import LanguageModel, Sight
from tests.fixed_model import FixedModel
from tests.rpc.running import PHRASES


async def fixed_model(_: Settings, __: Sight) -> LanguageModel:
    return FixedModel(PHRASES)


def main() -> int:
    logging.basicConfig(level="INFO", stream=sys.stderr)
    try:
        return asyncio.run(serve(read_settings(sys.argv[1:]), fixed_model))
    except StartupError as error:
        print(f"kgt: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
