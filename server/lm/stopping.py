"""A text that is given out as it grows, and ends before a stop text."""

from __future__ import annotations

from collections.abc import Sequence

_INCOMPLETE = "�"
"""A tokenizer decodes an incomplete character to this."""


class StoppedText:
    """Gives out a growing text in whole characters and never past one of the texts `stop`."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._longest = max((len(s) for s in stop), default=1)
        self._given = 0
        self._text = ""
        self.stopped = False

    def grow(self, text: str) -> str:
        """Take all of the text so far, and return the characters that are now certain.

        Held back are incomplete characters, and those that may be the beginning of a stop text.
        """
        self._text = text
        # A stop text right at the start is only the line end before an answer, so the search
        # starts after the leading blanks
        lead = len(self._text) - len(self._text.lstrip())
        found = [at for s in self._stop if (at := self._text.find(s, lead)) >= 0]
        if found:
            self.stopped = True
            return self._give(min(found))
        held = self._longest - 1
        whole = self._text.rstrip(_INCOMPLETE)
        return self._give(max(self._given, min(len(whole), len(self._text) - held)))

    def rest(self) -> str:
        """The characters that were held back, once the text has ended."""
        return self._give(len(self._text))

    def _give(self, upto: int) -> str:
        ready = self._text[self._given : upto]
        self._given = max(self._given, upto)
        return ready
