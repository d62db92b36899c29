"""Every command that `kgt` knows, in the order in which `kgt --help` lists them."""

from __future__ import annotations

import argparse

from kgt.command import chat, facts, history, questions, transfer
from kgt.command.arguments import Commands, Parser


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = Parser(
        prog="kgt",
        description="Personalize a language model by editing its knowledge graph.",
        epilog="Where the server asks who calls: KGT_TOKEN or KGT_TOKEN_FILE has a token,"
        " KGT_TLS_CA the authorities of the server's certificate, and KGT_TLS_CERTIFICATE"
        " and KGT_TLS_KEY your own.",
    )
    commands = Commands(whole)
    chat.add_to(commands)
    questions.add_to(commands)
    facts.add_to(commands)
    history.add_to(commands)
    transfer.add_to(commands)
    return whole
