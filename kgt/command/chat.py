"""The command for a conversation: `kgt chat`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from kgt.chat.conversation import COMMANDS, Conversation
from kgt.chat.reading import Reader, from_pipe, from_terminal, on_terminal
from kgt.client import Client
from kgt.command.arguments import Commands
from kgt.command.telling import failure
from kgt.errors import CallError
from kgt.output import Output

PROMPT = "> "


def add_to(commands: Commands) -> None:
    """Add this command to the command line."""
    commands.add("chat", chat, "ask, tell and correct in a conversation", for_programs=False)


def chat(client: Client, options: argparse.Namespace, output: Output) -> None:
    """kgt chat -u alice"""
    client.list_edits(user=options.user, page_size=1)  # without a server there is nothing to type
    if on_terminal():
        _on_terminal(client, options.user, output)
    else:
        _over_pipe(client, options.user, output)


def _over_pipe(client: Client, user: str, output: Output) -> None:
    """Take all lines. The first call that fails ends it, for what follows may depend on it."""
    conversation = Conversation(client, user, output, from_pipe)
    for line in _lines(from_pipe):
        if not conversation.take(line):
            return


def _on_terminal(client: Client, user: str, output: Output) -> None:
    """Take what is typed. Ctrl-C and a call that fails end a reply, and not the conversation."""
    read, advice = from_terminal(list(COMMANDS))
    conversation = Conversation(client, user, output, read)
    output.line(f"You are {user}. Ask, tell, or begin with 'no, ' to correct. /help", "dim")
    if advice:
        output.line(advice, "dim")
    for line in _lines(read, clearing=(KeyboardInterrupt,)):
        try:
            if not conversation.take(line):
                return
        except KeyboardInterrupt:
            output.line("stopped; if a change was made anyway, /undo takes it back", "dim")
        except CallError as error:
            output.line(failure(error), "red")


def _lines(read: Reader, clearing: tuple[type[BaseException], ...] = ()) -> Iterator[str]:
    """The lines up to the end. Each of `clearing` only clears the line that is being typed."""
    while True:
        try:
            yield read(PROMPT)
        except EOFError:
            return
        except clearing:
            continue
