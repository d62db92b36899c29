"""python -m testbed.neo4j COMMAND...: run a command next to a fresh Neo4j.

The command finds KGT_STORE and the login in its environment. Without a command, it says where
Browser is and runs until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.neo4j.database import Database, Unobtainable
from testbed.neo4j.running import running_neo4j


def main(command: list[str]) -> int:
    """The command's exit status; 3 if no Neo4j can be made."""
    with tempfile.TemporaryDirectory(prefix="kgt-neo4j-") as folder:
        try:
            with running_neo4j(Path(folder) / "neo4j") as database:
                return run(command, database) if command else wait(database)
        except Unobtainable as reason:
            print(reason, file=sys.stderr)
            return 3


def run(command: list[str], database: Database) -> int:
    """Run the command with the login in its environment, and return its exit status."""
    login = database.login
    variables = {
        "KGT_STORE": login.url,
        "KGT_NEO4J_USER": login.user,
        "KGT_NEO4J_PASSWORD": login.password,
    }
    return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


def wait(database: Database) -> int:
    """Say where the database is, and return at Ctrl-C."""
    login = database.login
    print(f"Neo4j at {login.url}, Browser at {database.browser}, {login.user} / {login.password}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
