"""Files of JSON lines that grow while a run goes on, and that a kill may cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Lines:
    """A file that a line is added to for each thing that is done, so that a kill loses only one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        self._lines = text.split("\n")
        self._is_cut_off = bool(text) and not text.endswith("\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """What the file held when it was opened. A line that was cut off is passed over."""
        for line in self._lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            yield row

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line. After one that was cut off, it begins a line of its own."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}" if self._is_cut_off else line)
        self._is_cut_off = False
