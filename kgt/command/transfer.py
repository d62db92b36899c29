"""The commands that move a whole overlay: `kgt export`, `kgt import` and `kgt erase`."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kgt.client import Client, whole_lines
from kgt.command.arguments import Commands, NotConfirmed, WrongUsage, add_request_id
from kgt.command.telling import show_erased, show_imported
from kgt.errors import DataLoss
from kgt.output import Output

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def add_to(commands: Commands) -> None:
    """Add these commands to the command line."""
    one = commands.add("export", export, "the overlay with its history, as JSON lines")
    one.add_argument("file", type=Path, nargs="?")

    one = commands.add("import", import_, "take an export back")
    one.add_argument("file", type=Path)
    one.add_argument("--merge", action="store_true", help="into an overlay with edits, as one edit")
    add_request_id(one)

    one = commands.add("erase", erase, "remove everything kept about this user")
    one.add_argument("--yes", action="store_true", help="do not ask")
    add_request_id(one)


def export(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt export -u alice alice.jsonl"""
    lines = whole_lines(client.export_overlay(user=options.user))
    if options.file is None:
        for line in lines:
            output.raw(line)
        return
    with _replacing(options.file) as file:
        lost: DataLoss | None = None
        try:
            file.writelines(f"{line}\n" for line in lines)
        except DataLoss as error:
            if file.tell() == 0:
                raise
            lost = error  # the lines before it may be the only copy left, so the file is kept
    if lost is not None:
        raise DataLoss(
            f"{lost}; {options.file} has the lines that could be read", reason=lost.reason
        ) from lost
    output.line(f"written to {options.file}")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A file to write, which replaces `path` once it is whole. Raises OSError."""
    if path.exists() and not path.is_file():  # a device or a pipe: /dev/stdout
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def import_(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt import -u alice alice.jsonl --merge"""
    # Read before the call: gRPC logs a traceback when reading fails while it sends.
    lines = _lines(options.file)
    response = client.import_overlay(
        user=options.user, lines=lines, merge=options.merge, request_id=options.request_id
    )
    output.message(response, lambda: show_imported(response, output))


def _lines(path: Path) -> list[str]:
    """The lines of an export, without a byte order mark. Raises WrongUsage."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error
    if data.startswith(_UTF16_MARKS) or b"\0" in data[:4]:
        raise WrongUsage(f"{path}: is UTF-16 text; save it as UTF-8")
    try:
        return io.StringIO(data.decode("utf-8-sig"), newline=None).readlines()
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{path}: is not UTF-8 text (byte {error.start + 1})") from error


def erase(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt erase -u alice --yes"""
    if not options.yes and not _confirmed(options.user):
        raise NotConfirmed("nothing was erased")
    response = client.erase_user(user=options.user, request_id=options.request_id)
    output.message(response, lambda: show_erased(response, output))


def _confirmed(user: str) -> bool:
    """Whether the user's name is typed. The question goes to stderr: stdout is for the result."""
    print(
        f"Everything kept about {user!r} will be gone for good. Type the user's name to go on: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().rstrip("\n") == user
