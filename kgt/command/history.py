"""The commands that read and undo edits: `kgt edits` and `kgt revert`."""

from __future__ import annotations

import argparse

from kgt.client import Client
from kgt.command.arguments import Commands, add_paging, add_request_id
from kgt.command.telling import show_edits, show_reverted
from kgt.output import Output


def add_to(commands: Commands) -> None:
    """Add these commands to the command line."""
    add_paging(commands.add("edits", edits, "this user's edits, newest first"))

    one = commands.add("revert", revert, "undo an edit exactly")
    one.add_argument("edit_id")
    one.add_argument(
        "--skip-conflicts", action="store_true", help="leave out what later edits rely on"
    )
    add_request_id(one)


def edits(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt edits -u alice"""
    response = client.list_edits(
        user=options.user, page_size=options.page_size, page_token=options.page_token
    )
    output.message(response, lambda: show_edits(response, output))


def revert(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt revert -u alice 4f1c..."""
    response = client.revert_edit(
        user=options.user,
        edit_id=options.edit_id,
        skip_conflicts=options.skip_conflicts,
        request_id=options.request_id,
    )
    output.message(response, lambda: show_reverted(response, output))
