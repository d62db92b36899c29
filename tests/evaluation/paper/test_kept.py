from __future__ import annotations

from pathlib import Path

from evaluation.methods.method import TargetLogprob
from evaluation.paper.kept import Kept


class Counting:
    """A system that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def logprob(self, prompt: str, target: str) -> TargetLogprob:
        self.asked += 1
        return TargetLogprob((-0.5, -1.5), (True, False))

    def generate(self, prompt: str) -> str:
        self.asked += 1
        return f"é\u2028 after {prompt}"


def test_a_question_is_asked_once_and_kept_for_the_next_run(tmp_path: Path) -> None:
    system, file = Counting(), tmp_path / "folder" / "kept.jsonl"
    kept = Kept(file, system)
    first = [(kept.generate("q"), kept.logprob("q", "a")) for _ in range(2)]
    again = Kept(file, system)
    assert [(again.generate("q"), again.logprob("q", "a"))] * 2 == first
    assert system.asked == 2


def test_a_line_that_a_kill_cut_off_is_asked_again(tmp_path: Path) -> None:
    system, file = Counting(), tmp_path / "kept.jsonl"
    kept = Kept(file, system)
    kept.generate("one")
    kept.generate("two")
    file.write_text(file.read_text()[:-9])
    after = Kept(file, system)
    assert after.generate("one") == kept.generate("one")
    assert after.generate("two") == kept.generate("two")
    assert system.asked == 3
    last = Kept(file, system)
    assert last.generate("two") == kept.generate("two")
    assert system.asked == 3, "and is kept in a line of its own"
