"""The list of erased overlays: it grows, and says what is wrong with it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from server.errors import CopyRefused
from server.keeping.erased import read_erased, write_erased
from server.tuning.ports import Tombstone

ONE, TWO = Tombstone("0" * 32, 1), Tombstone("1" * 32, 2)


def test_a_list_goes_on_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "erased.jsonl"
    assert write_erased(path, [ONE]) == 1
    assert write_erased(path, [TWO]) == 2
    assert write_erased(path, [ONE]) == 2
    assert read_erased(path) == [ONE, TWO]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["erased.jsonl"]


def test_an_empty_file_is_an_empty_list() -> None:
    assert read_erased(Path("/dev/null")) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format":"kgt-users","version":1}\n', "not a list of erased"),
        ('{"format":"kgt-erased","version":1}\n{"overlay_id":7,"time_ms":1}\n', "line 2"),
        ("[]\n", "not a JSON object"),
        ("\xff\n", "is not JSON"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(CopyRefused, match=told):
        read_erased(tmp_path / "list")


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CopyRefused, match="cannot be read"):
        read_erased(tmp_path / "nowhere")
