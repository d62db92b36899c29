"""The commands that read and edit triples: `kgt neighborhood`, `kgt facts` and `kgt edit`."""

from __future__ import annotations

import argparse

from kgt.client import Client
from kgt.command.arguments import Commands, add_paging, add_request_id
from kgt.command.telling import show_edit, show_facts, show_neighborhood
from kgt.output import Output


def add_to(commands: Commands) -> None:
    """Add these commands to the command line."""
    one = commands.add(
        "neighborhood", neighborhood, "the triples that start at a concept, as this user sees them"
    )
    one.add_argument("concept")
    one.add_argument("--at-revision", type=int, help="as of this edit; 0 is the shared graph")
    add_paging(one)

    add_paging(commands.add("facts", facts, "everything this user has added or removed"))

    one = commands.add("edit", edit, "add and remove triples directly")
    for name in ("--add", "--remove"):
        one.add_argument(
            name, nargs=3, action="append", default=[], metavar=("HEAD", "RELATION", "TAIL")
        )
    add_request_id(one)


def neighborhood(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt neighborhood -u alice dog"""
    response = client.get_neighborhood(
        user=options.user,
        concept=options.concept,
        at_revision=options.at_revision,
        page_size=options.page_size,
        page_token=options.page_token,
    )
    output.message(response, lambda: show_neighborhood(response, output))


def facts(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt facts -u alice"""
    response = client.list_facts(
        user=options.user, page_size=options.page_size, page_token=options.page_token
    )
    output.message(response, lambda: show_facts(response, output))


def edit(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt edit -u alice --add dog likes carrots --remove dog likes meat"""
    response = client.edit_facts(
        user=options.user,
        add=[(head, relation, tail) for head, relation, tail in options.add],
        remove=[(head, relation, tail) for head, relation, tail in options.remove],
        request_id=options.request_id,
    )
    output.message(response, lambda: show_edit(response.edit, output))
