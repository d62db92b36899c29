"""python -m tests.kgt.console.screenshots [FOLDER]: pictures of the console.

They are facts.png and history.png in docs/console by default: what the default model and the
starter graph make of what alice told and corrected.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from kgt.client import Client
from testbed.chromium import NoChromium, chromium
from testbed.processes import ROOT, server_process
from tests.kgt.console.window import Window, console


def tell(address: str) -> None:
    """Make the service know something about alice."""
    with Client(address) as kgt:
        kgt.personalize(user="alice", query="What do I do for work?", answer="beekeeper")
        kgt.learn(user="alice", text="My dog is named Rex.")
        kgt.personalize(user="alice", query="What does a dog enjoy?", answer="vegetables")
        kgt.learn(user="alice", text="My daughter is allergic to peanuts.")


def take(window: Window, folder: Path) -> None:
    """The facts with the graph in the light, and the history in the dark."""
    window.opens("/?about=dog", height=820)
    window.sees(lambda: bool(window.all(".graph canvas")), "the graph to be drawn")
    window.run("document.querySelector('.subject[aria-label=dog] details').open = true")
    assert window.driver.save_screenshot(str(folder / "facts.png"))
    window.opens("/history", height=820, dark=True)
    assert window.driver.save_screenshot(str(folder / "history.png"))


def main(folder: Path) -> int:
    """The command's exit status; 3 if there is no Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kgt-console-") as data:
        load = [sys.executable, "-m", "kgload", "starter", "--data", data]
        subprocess.run(load, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        try:
            with (
                server_process("server", Path(data), "--log-level", "warning") as server,
                chromium(1280, 820) as driver,
                console(server.address, "alice") as url,
            ):
                tell(server.address)
                take(Window(driver, url), folder)
        except NoChromium as reason:
            print(f"taking pictures {reason}", file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "console"))
