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
from functools import partial
from pathlib import Path

from demo.identity import MODES, Clients, Tokens
from kgt.client.access import Access
from kgt.command.telling import show_personalize
from kgt.errors import CallError, PermissionDenied, Unauthenticated
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

    def __init__(self, clients: Clients, output: Output) -> None:
        self.clients = clients
        self._output = output

    def asks(self, user: str, query: str, expected: str | None = None, note: str = "") -> str:
        """Prints the server's answer with what it rests on, and returns it.

        Raises Mismatch if it is not `expected`.
        """
        response = self.clients.of(user).answer(user=user, query=query)
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
        response = self.clients.of(user).personalize(user=user, query=query, answer=answer)
        show_personalize(response, self._output)
        if not (response.converged and response.edit.id and response.edit.added):
            raise Mismatch(
                f"the feedback {answer!r} did not take: {pb.StopReason.Name(response.stop_reason)}"
            )
        return response.edit.id

    def undoes(self, user: str, edit_id: str) -> None:
        """Reverts an edit."""
        response = self.clients.of(user).revert_edit(user=user, edit_id=edit_id)
        self._output.line(f"{user:>6}: undo {edit_id} -> revision {response.edit.revision}")

    def tells(self, user: str, fact: tuple[str, str, str]) -> None:
        """Adds a fact to the user's own."""
        self._output.line(f"{user:>6}: {' '.join(fact)}")
        self.clients.of(user).edit_facts(user=user, add=[fact])

    def is_refused(self, caller: str | None, user: str) -> None:
        """Asks for another user's facts, and prints the refusal. Raises Mismatch without one."""
        named = caller or "nobody"
        self._output.line(f"{named:>6}: What did {user} tell you?")
        try:
            self.clients.of(caller).list_facts(user=user)
        except (PermissionDenied, Unauthenticated) as error:
            self._output.line(f"   kgt: {type(error).__name__} ({error.reason}): {error}", "bold")
        else:
            raise Mismatch(f"{named} was given the facts of {user}")

    def heading(self, text: str) -> None:
        self._output.line()
        self._output.line(text, "cyan")


def tell_who_may_ask(story: Story) -> None:
    """Shows whose facts are refused to whom. Raises Mismatch and CallError."""
    story.heading("Who may ask")
    story.tells("alice", ("my dog", "is named", "Rex"))
    story.is_refused("bob", "alice")
    story.is_refused("bob", "carol")
    story.is_refused(None, "alice")
    story.clients.of("alice").erase_user(user="alice")


def tell(start: Callable[[], ServerProcess], output: Output, tokens: Tokens | None) -> None:
    """Tells the story. Raises Mismatch and CallError."""
    access = tokens.access if tokens else lambda _: Access()
    server = start()
    try:
        with Clients(server.address, access) as clients:
            story = Story(clients, output)
            if tokens:
                tell_who_may_ask(story)
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
        with Clients(server.address, access) as clients:
            story = Story(clients, output)
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
    parser.add_argument(
        "--auth",
        choices=MODES,
        default="none",
        help="jwt: each user has a token of keys made for this run, and is refused others' facts",
    )
    arguments = parser.parse_args()
    output = Output(as_json=False)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="kgt-demo-") as folder:
            load(arguments.graph, Path(folder))
            tokens = Tokens(Path(folder)) if arguments.auth == "jwt" else None
            start = partial(
                ServerProcess,
                *("server", Path(folder), "--log-level", "warning"),
                *(tokens.server_arguments if tokens else ()),
            )
            tell(start, output, tokens)
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
