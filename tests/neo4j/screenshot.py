"""python -m tests.neo4j.screenshot [FILE]: a picture of alice's view in Neo4j Browser.

FILE is docs/browser/browser.png by default.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from testbed.neo4j import Unobtainable, running_neo4j
from testbed.processes import ROOT, until
from tests.neo4j.chromium import Browser, neo4j_browser
from tests.neo4j.story import tell

DOCS = ROOT / "docs" / "browser"
SETTINGS = (
    ":config autoComplete: false",
    ":param user => 'alice'",
    ":param concept => 'dog'",
    ":param revision => 1",
)


def title(query: Path) -> str:
    """Browser's name for a saved query: its first line."""
    return query.read_text().splitlines()[0].removeprefix("// ")


def follow_the_guide(browser: Browser) -> None:
    """Take the guide's first two steps: style, setting, saved queries and their parameters."""
    browser.drop(DOCS / "kgt.grass")
    for query in sorted(DOCS.glob("*.cypher")):
        browser.drop(query)
    for command in SETTINGS:
        browser.type(command)
        if command.startswith(":param"):
            until(lambda: "Successfully set your parameters" in browser.text(), command, 60.0)


def main(file: Path) -> int:
    """The command's exit status; 3 if there is no Neo4j or no Chromium."""
    with tempfile.TemporaryDirectory(prefix="kgt-neo4j-") as folder:
        try:
            with running_neo4j(Path(folder) / "neo4j") as database:
                asyncio.run(tell(database.login, Path(folder) / "base"))
                with neo4j_browser(database, width=1280, height=860) as browser:
                    follow_the_guide(browser)
                    browser.run_favorite(title(DOCS / "view.cypher"))
                    browser.enlarge()
                    browser.drawn()
                    browser.keep(file)
        except Unobtainable as reason:
            print(reason, file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "browser.png"))
