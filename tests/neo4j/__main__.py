"""python -m tests.neo4j COMMAND...: run a command beside a fresh Neo4j, with KGT_STORE and its
login in the environment.

Without a command it runs until Ctrl-C and says where Browser is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.neo4j.database import Unobtainable, running_neo4j


def main(command: list[str]) -> int:
    """The command's exit status; 3 where no Neo4j can be had."""
    with tempfile.TemporaryDirectory(prefix="kgt-neo4j-") as folder:
        try:
            with running_neo4j(Path(folder) / "neo4j") as database:
                login = database.login
                if not command:
                    print(
                        f"Neo4j at {login.url}, Browser at {database.browser}, {login.user} / {login.password}"
                    )
                    with contextlib.suppress(KeyboardInterrupt):
                        signal.pause()
                    return 0
                names = {
                    "KGT_STORE": login.url,
                    "KGT_NEO4J_USER": login.user,
                    "KGT_NEO4J_PASSWORD": login.password,
                }
                return subprocess.run(command, env={**os.environ, **names}, check=False).returncode
        except Unobtainable as reason:
            print(reason, file=sys.stderr)
            return 3


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
