"""Where the lines of a conversation come from: a terminal, or a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence

Reader = Callable[[str], str]
"""Shows a prompt and returns the next line. Raises EOFError at the end."""

ADVICE = "`pip install prompt_toolkit` adds a history and completion to this prompt."


def on_terminal() -> bool:
    """Whether a person types and reads."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def from_pipe(_: str) -> str:
    """The next line of stdin. Nothing is shown."""
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line:
        raise EOFError
    return line


def from_terminal(commands: Sequence[str]) -> tuple[Reader, str]:
    """What reads from the terminal, and what would make it better.

    What is typed is kept for this conversation only, and never in a file.
    """
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.history import InMemoryHistory
    except ImportError:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - with it, input() knows the arrow keys
        return input, ADVICE
    completer = WordCompleter(list(commands), sentence=True)
    session: PromptSession[str] = PromptSession(history=InMemoryHistory(), completer=completer)
    return session.prompt, ""
