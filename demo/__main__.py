"""python -m demo: the story of one correction, told by a real server over gRPC.

Every answer printed is what the server returned in this run. The exit status is 1 if one of them is
not as it should be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kgt.client import Client
from kgt.command.telling import show_personalize
from kgt.errors import CallError
from kgt.output import Output
from kgt.v1 import personalization_pb2 as pb
from server.tuning.texts import says
from testbed.processes import ROOT, ServerProcess

ENJOY = "What does a dog enjoy?"
FEED = "What should I feed my dog?"
WHERE = "Where do you find a dog?"


class Mismatch(Exception):
    """An answer is not what the story tells."""


class Story:
    """Asks, corrects and compares, and prints all of it."""

    def __init__(self, client: Client, output: Output) -> None:
        self.client = client
        self._output = output

    def asks(self, user: str, query: str, expected: str | None = None, note: str = "") -> str:
        """Prints the server's answer with what it rests on, and returns it.

        Raises Mismatch if it is not `expected`.
        """
        response = self.client.answer(user=user, query=query)
        facts = "; ".join(
            f"{f.triple.head} {f.triple.relation} {f.triple.tail}" for f in response.facts
        )
        self._output.line(f"{user:>6}: {query}{'   ' + note if note else ''}")
        self._output.line(f"   kgt: {response.text}", "bold")
        self._output.line(f"        from: {facts}", "dim")
        if expected is None and not any(says(response.text, f.triple.tail) for f in response.facts):
            raise Mismatch(f"{response.text!r} is not one of the facts")
        if expected is not None and not says(response.text, expected):
            raise Mismatch(f"{response.text!r} is not {expected!r}")
        return response.text

    def corrects(self, user: str, query: str, answer: str) -> str:
        """Sends feedback and prints what it changed. Returns the edit's id."""
        self._output.line(f"{user:>6}: no, {answer}   (feedback to {query!r})")
        response = self.client.personalize(user=user, query=query, answer=answer)
        show_personalize(response, self._output)
        if not (response.converged and response.edit.id and response.edit.added):
            raise Mismatch(
                f"the feedback {answer!r} did not take: {pb.StopReason.Name(response.stop_reason)}"
            )
        return response.edit.id

    def undoes(self, user: str, edit_id: str) -> None:
        """Reverts an edit."""
        response = self.client.revert_edit(user=user, edit_id=edit_id)
        self._output.line(f"{user:>6}: undo {edit_id} -> revision {response.edit.revision}")

    def heading(self, text: str) -> None:
        self._output.line()
        self._output.line(text, "cyan")


def tell(start: Callable[[], ServerProcess], output: Output) -> None:
    """Tells the story. Raises Mismatch and CallError."""
    server = start()
    try:
        with Client(server.address) as client:
            story = Story(client, output)
            story.heading("What the graph says")
            first = story.asks("alice", ENJOY)
            place = story.asks("alice", WHERE)
            story.heading("A correction")
            vegetables = story.corrects("alice", ENJOY, "vegetables")
            story.asks("alice", ENJOY, "vegetables")
            story.asks("alice", FEED, "vegetables", "(other words)")
            story.asks("bob", ENJOY, first, "(somebody else)")
            story.asks("alice", WHERE, place, "(something else)")
            story.heading("A second correction supersedes the first")
            fish = story.corrects("alice", ENJOY, "fish")
            story.asks("alice", ENJOY, "fish")
        story.heading("kill -9, and a new server over the same store")
        server.kill()
        server = start()
        with Client(server.address) as client:
            story = Story(client, output)
            story.asks("alice", ENJOY, "fish")
            story.heading("Undo")
            story.undoes("alice", fish)
            story.undoes("alice", vegetables)
            story.asks("alice", ENJOY, first)
        status, log = server.stop()
        if status != 0:
            raise Mismatch(f"the server ended with status {status}: {log[-500:]}")
    finally:
        server.kill()


def load(graph: Path | None, data: Path) -> None:
    """Fills the base graph. Raises CalledProcessError."""
    command = [sys.executable, "-m", "kgload"]
    if graph is None:
        command += ["starter"]
    elif graph.suffix == ".tsv":
        command += ["triples", str(graph.absolute()), "--columns", "relation,head,tail"]
    else:
        command += ["conceptnet", str(graph.absolute())]
    done = subprocess.run(
        [*command, "--data", str(data)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stderr, end="", file=sys.stderr)
        done.check_returncode()
    print(done.stdout.rstrip().rpartition("\n")[2])  # the summary's last line


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--graph",
        type=Path,
        help="relation, head, tail (.tsv), or ConceptNet's dump; the starter graph by default",
    )
    arguments = parser.parse_args()
    output = Output(as_json=False)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="kgt-demo-") as folder:
            load(arguments.graph, Path(folder))
            tell(lambda: ServerProcess("server", Path(folder), "--log-level", "warning"), output)
    except subprocess.CalledProcessError as error:
        return error.returncode or 1
    except (Mismatch, CallError, AssertionError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    output.line()
    output.line(f"All as told, in {time.monotonic() - started:.0f} s.", "green")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
