"""What `python -m server COMMAND` does besides serving: check, copy and take back a store."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from server import assemble
from server.errors import CopyRefused, KgtError, StartupError
from server.graph.relation import Vocabulary
from server.keeping.erased import all_tombstones, read_erased, write_erased
from server.keeping.export_all import export_all
from server.keeping.import_all import import_all
from server.settings import Settings
from server.stores.sqlite.backup import make_backup
from server.stores.sqlite.restore import restore_backup
from server.tuning import templates
from server.tuning.ports import GraphStore, StoreCounts

_COME_BACK = (
    "note: who was erased after this backup was made is back, unless the folder held the newer"
    " store; --erased names a list"
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command: how it is run with the settings and its own arguments, and its exit status."""

    run: Callable[[Settings, argparse.Namespace], Awaitable[int]]
    own: argparse.Namespace
    settings: Sequence[str]
    """The arguments that are not its own."""


def parser() -> argparse.ArgumentParser:
    """The commands and their own arguments. All settings of the server may follow as flags."""
    top = argparse.ArgumentParser(
        prog="python -m server",
        allow_abbrev=False,
        epilog="Without a command it serves. `python -m server --help` lists the settings, which"
        " each command takes too, after its own arguments.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str, *arguments: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        one.set_defaults(run=run)
        for argument in arguments:
            one.add_argument(argument.lower(), metavar=argument, type=Path)
        return one

    command("check", check, "rebuild every overlay from its log, and print what differs")
    command("backup", backup, "copy the embedded store; servers may go on using it", "FOLDER")
    restoring = command("restore", restore, "take back what backup copied", "FOLDER")
    restoring.add_argument("--into", type=Path, metavar="DATA", help="in place of KGT_DATA")
    restoring.add_argument(
        "--replace", action="store_true", help="replace the store that is there, if there is one"
    )
    restoring.add_argument(
        "--erased", type=Path, metavar="FILE", help="a list that the command erased wrote"
    )
    command("export-all", export, "write all users to a file, as JSON lines", "FILE")
    command("import-all", import_, "take the users of such a file into the store", "FILE")
    command("erased", erased, "write, or go on with, the list of erased overlays", "FILE")
    command("erase-again", erase_again, "erase whose overlays are in such a list", "FILE")
    return top


def named(arguments: Sequence[str]) -> Command | None:
    """The command that `arguments` begin with; None if they begin with none, to serve.

    Exits with status 2 where its own arguments are wrong.
    """
    if not arguments or arguments[0].startswith("-"):
        return None
    own, rest = parser().parse_known_args(arguments)
    if len(vars(own)) > 1 and arguments[1].startswith("-"):  # a setting's value is not the file
        parser().error(f"the file or folder comes first: {arguments[0]} NAME, then settings")
    return Command(own.run, own, rest)


async def done(command: Command, settings: Settings) -> int:
    """Run a command. Returns its exit status. Raises StartupError."""
    try:
        return await command.run(settings, command.own)
    except StartupError:
        raise
    except KgtError as error:
        print(error)
        return 1


async def check(settings: Settings, _: argparse.Namespace) -> int:
    """Rebuild every overlay from its log, and print what differs. Returns 1 if something does."""
    problems, counts = await assemble.checked(settings)
    return _told(problems, f"{_held(counts)}: all is well" if not problems else _held(counts))


async def backup(settings: Settings, own: argparse.Namespace) -> int:
    """Copy the embedded store to a new folder. Returns 1 if a check of the copy finds something."""
    _require_embedded(settings)
    manifest, problems = make_backup(settings.data, own.folder)
    return _told(problems, f"{own.folder}: {_held(manifest.counts)}, read back")


async def restore(settings: Settings, own: argparse.Namespace) -> int:
    """Take a backup back. Returns 1 if a check of what was taken back finds something."""
    _require_embedded(settings)
    data = (own.into or settings.data).expanduser()
    given = None if own.erased is None else read_erased(own.erased)
    restored = await restore_backup(own.folder, data, given, replace=own.replace)
    if given is None:
        print(_COME_BACK)
    held = _held(restored.manifest.counts)
    return _told(restored.problems, f"{data}: {held}, of which {restored.erased} users were erased")


def _require_embedded(settings: Settings) -> None:
    if settings.neo4j_login is not None:
        raise CopyRefused(
            "this is for the embedded store; a Neo4j is copied by deploy/neo4j/dump.sh"
            " (docs/operations.md), and any store by export-all"
        )


async def export(settings: Settings, own: argparse.Namespace) -> int:
    """Write all users to a file. Returns 1 if some cannot be read."""
    async with _opened(settings) as (store, relations):
        known = {
            "templates": templates.FINGERPRINT,
            "vocabulary": relations.fingerprint,
            "base_graph": store.base_fingerprint,
        }
        end = await export_all(store, own.file, known)
    left_out = [f"{end.skipped} users have edits that cannot be read (check names them)"]
    return _told(left_out if end.skipped else (), f"{own.file}: {end.users} users")


async def import_(settings: Settings, own: argparse.Namespace) -> int:
    """Take the users of a file into the store. Returns 1 if some are left out."""
    results: Counter[str] = Counter()
    async with _opened(settings) as (store, relations):
        async for outcome in import_all(store, relations, own.file):
            if outcome.problem:
                print(f"{own.file}: up to line {outcome.line}: {outcome.problem}")
            results[outcome.result] += 1
    left_out = results.pop("", 0)
    told = ", ".join(f"{count} users {result}" for result, count in results.items())
    print(f"{own.file}: {told or 'no users'}" + (f", {left_out} left out" if left_out else ""))
    return 1 if left_out else 0


async def erased(settings: Settings, own: argparse.Namespace) -> int:
    """Add the erased overlays of the store to a list."""
    async with _opened(settings) as (store, _):
        found = [tombstone async for tombstone in all_tombstones(store)]
    print(f"{own.file}: {write_erased(own.file, found)} erased overlays")
    return 0


async def erase_again(settings: Settings, own: argparse.Namespace) -> int:
    """Erase the users whose overlays are in a list."""
    listed = read_erased(own.file)
    async with _opened(settings) as (store, _):
        print(f"{await store.bury(listed)} users erased")
    return 0


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[GraphStore, Vocabulary]]:
    """The store of the settings, with its relations."""
    relations = await assemble.vocabulary(settings)
    store = await assemble.open_store(settings, relations)
    try:
        yield store, relations
    finally:
        await store.close()


def _held(counts: StoreCounts) -> str:
    return ", ".join(f"{count} {name}" for name, count in asdict(counts).items())


def _told(problems: Sequence[str], last: str) -> int:
    """Print problems and a last line. Returns 1 if there are problems."""
    for line in (*problems, last):
        print(line)
    return 1 if problems else 0
