"""Counts what was won of what was asked, and what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from evaluation.corrections.caller import Call
from evaluation.corrections.player import Asked, CaseResult

_MEASURED_CALLS = ("answer", "personalize", "learn")


@dataclass(slots=True)
class Tally:
    """How many questions of one kind were asked, won and refused."""

    asked: int = 0
    won: int = 0
    refused: int = 0

    @property
    def percent(self) -> float:
        return round(100 * self.won / self.asked, 1)


def tallies(results: Iterable[CaseResult]) -> dict[str, Tally]:
    """The counts for each kind of question, in the order in which a case asks them."""
    counts: dict[str, Tally] = {}
    for result in results:
        for asked in result.asked:
            tally = counts.setdefault(asked.question.kind, Tally())
            tally.asked += 1
            tally.won += asked.won
            tally.refused += bool(asked.refused)
    return counts


def costs(calls: Sequence[Call]) -> dict[str, dict[str, float | int | None]]:
    """The mean cost and the median time of the calls that ask the model.

    The figures are those of the calls that were not refused.
    """
    return {method: _cost(method, calls) for method in _MEASURED_CALLS}


def _cost(method: str, every: Sequence[Call]) -> dict[str, float | int | None]:
    calls = [call for call in every if call.method == method]
    done = [call for call in calls if not call.refused]
    paid = [call.cost for call in done if call.cost is not None]
    return {
        "calls": len(calls),
        "refused": len(calls) - len(done),
        "forward_passes": _mean(cost.forward_passes for cost in paid),
        "tokens_read": _mean(cost.tokens_read for cost in paid),
        "tokens_generated": _mean(cost.tokens_generated for cost in paid),
        "p50_ms": round(median(call.took_ms for call in done), 1) if done else None,
    }


def _mean(numbers: Iterable[int]) -> float | None:
    listed = list(numbers)
    return round(fmean(listed), 2) if listed else None


def refusals(calls: Iterable[Call]) -> dict[str, int]:
    """How often calls were refused, by method and reason."""
    return dict(Counter(f"{call.method} {call.refused}" for call in calls if call.refused))


def corrections(results: Iterable[CaseResult]) -> dict[str, int]:
    """What became of the corrections. What was taught before them is not counted."""
    made = [one for result in results for one in result.personalized]
    return {
        "made": len(made),
        "converged": sum(one.converged for one in made),
        "changed_nothing": sum(not one.edit_id and not one.refused for one in made),
        "refused": sum(bool(one.refused) for one in made),
        "added": sum(one.added for one in made),
        "removed": sum(one.removed for one in made),
    }


# What is shown


def table(results: Sequence[CaseResult], calls: Sequence[Call]) -> str:
    """The counts and the costs, for people."""
    lines = [f"{'question':46} {'won':>6} {'asked':>6} {'percent':>8} {'refused':>8}"]
    for kind, tally in tallies(results).items():
        counts = f"{tally.won:6} {tally.asked:6} {tally.percent:8.1f} {tally.refused:8}"
        lines.append(f"{kind:46} {counts}")
    lines.append("")
    lines.append(
        f"{'call':14} {'calls':>6} {'refused':>8} {'passes':>8} {'read':>8} {'generated':>10}"
        f" {'p50 ms':>8}"
    )
    lines.extend(_cost_line(name, figures) for name, figures in costs(calls).items())
    return "\n".join(lines)


def _cost_line(name: str, figures: dict[str, float | int | None]) -> str:
    widths = (6, 8, 8, 8, 10, 8)
    shown = ("-" if figure is None else f"{figure:g}" for figure in figures.values())
    return f"{name:14} " + " ".join(f"{s:>{w}}" for s, w in zip(shown, widths, strict=True))


def misses(results: Iterable[CaseResult], calls: Iterable[Call]) -> Iterator[str]:
    """Every question that was not won, and every call that was refused."""
    for result in results:
        for asked in result.asked:
            if not asked.won:
                yield f"{result.case.id}: {_miss(asked)}"
    for call in calls:
        if call.refused:
            yield f"refused: {call.method} {call.asked!r}: {call.refused}"


def _miss(asked: Asked) -> str:
    question = asked.question
    told = f"{question.kind}: {question.query!r}, expected {question.expectation}"
    if asked.refused:
        return f"{told}, refused: {asked.refused}"
    before = f", before {asked.before.text!r}" if asked.before else ""
    return f"{told}, got {_reply(asked)!r}{before}"


def _reply(asked: Asked) -> Any:
    if asked.question.expectation.looks_at_view:
        return sorted(asked.now.tails)
    wanted = asked.question.expectation.candidates
    return {text: round(asked.now.logprobs[text], 3) for text in wanted} or asked.now.text


def record(result: CaseResult) -> str:
    """One case's result as a JSON line."""
    document = {
        "case": result.case.id,
        "subject": result.case.subject,
        "topic": result.case.topic,
        "user": result.user,
        "corrections": [asdict(one) for one in result.personalized],
        "questions": [_question(one) for one in result.asked],
    }
    return json.dumps(document, ensure_ascii=False)


def _question(asked: Asked) -> dict[str, Any]:
    question = asked.question
    expected = {"is": type(question.expectation).__name__, **asdict(question.expectation)}
    replied: dict[str, Any] = {"refused": asked.refused}
    if not asked.refused:
        before = {"before": asked.before.text} if asked.before else {}
        replied = {"reply": _reply(asked), **before}
    return {
        "kind": question.kind,
        "stage": question.stage,
        "query": question.query,
        "expected": expected,
        "won": asked.won,
        **replied,
    }
