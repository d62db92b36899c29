"""Draws curves of paraphrases won against unrelated queries changed, as an SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from evaluation.scopes.curves import FLOORS, Point, Sample, Thresholds
from evaluation.scopes.table import SHOWN_FLOORS, Way

_WIDTH, _HEIGHT = 640, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 44, 64
_DOTS = SHOWN_FLOORS[::2]
_TICKS = (0, 20, 40, 60, 80, 100)
_STYLE = """\
text { font: 13px Helvetica, Arial, sans-serif; fill: #24292f }
.grid { stroke: #d0d7de }
.small { font-size: 11px; fill: #57606a }
.way0 { --way: #bc4c00 }
.way1 { --way: #6e7781 }
.way2 { --way: #0969da }
.line { stroke: var(--way); stroke-width: 2; fill: none }
.dot { fill: var(--way) }
.own { fill: none; stroke: var(--way); stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.small { fill: #9198a1 }
.way0 { --way: #f0883e }
.way1 { --way: #8b949e }
.way2 { --way: #58a6ff }
}"""


@dataclass(frozen=True, slots=True)
class Curve:
    """What one way wins at each floor."""

    way: Way
    points: Sequence[tuple[float, Point]]
    area: float

    @classmethod
    def of(cls, way: Way, sample: Sample) -> Curve:
        """The curve of a sample that has paraphrases and unrelated queries."""
        points = [(floor, sample.point(way.at(floor))) for floor in FLOORS]
        return cls(way, points, sample.decided(way.sure, way.confirmation).area)


def svg(curves: Sequence[Curve], own: Thresholds) -> str:
    """The picture; a ring marks the model's own floor. It can be read on light and on dark."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' width="{_WIDTH}" height="{_HEIGHT}" role="img">',
        "<title>Paraphrases won against unrelated queries changed</title>",
        f"<style>{_STYLE}</style>",
        *_axes(),
    ]
    for number, curve in enumerate(curves):
        parts.append(f'<g class="way{number}">')
        parts += _drawn(curve, number, own)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes() -> Iterator[str]:
    left, right, top, bottom = _x(0), _x(1), _y(1), _y(0)
    for tick in _TICKS:
        x, y = _x(tick / 100), _y(tick / 100)
        yield f'<path class="grid" d="M{left} {y}H{right}M{x} {top}V{bottom}"/>'
        yield f'<text class="small" x="{left - 8}" y="{y + 4}" text-anchor="end">{tick}</text>'
        yield f'<text class="small" x="{x}" y="{bottom + 18}" text-anchor="middle">{tick}</text>'
    middle = (left + right) / 2
    yield f'<text x="{middle}" y="{bottom + 42}" text-anchor="middle">unrelated changed, %</text>'
    yield f'<text x="{left}" y="{top - 22}">paraphrases won, %</text>'
    dots = f"a dot every 0.10 from floor {_DOTS[0]:.2f}, a ring at the model's own"
    yield f'<text class="small" x="{right}" y="{top - 22}" text-anchor="end">{dots}</text>'


def _drawn(curve: Curve, number: int, own: Thresholds) -> Iterator[str]:
    places = {floor: (_x(1 - p.alone), _y(p.won)) for floor, p in curve.points}
    yield f'<path class="line" d="M{"L".join(f"{x} {y}" for x, y in places.values())}"/>'
    for floor in _DOTS:
        x, y = places[floor]
        yield f'<circle class="dot" cx="{x}" cy="{y}" r="3"><title>floor {floor:.2f}</title>'
        yield "</circle>"
    x, y = places[min(places, key=lambda floor: abs(floor - own.floor))]
    yield f'<circle class="own" cx="{x}" cy="{y}" r="7"/>'
    yield f'<text class="small" x="{x + 10}" y="{y + 14}">floor {own.floor:.2f}</text>'
    at = _y(0) - 16 - 20 * number
    name = escape(f"{curve.way.name} (area {curve.area:.3f})")
    yield f'<path class="line" d="M{_x(0.4)} {at - 4}h24"/>'
    yield f'<text x="{_x(0.4) + 32}" y="{at}">{name}</text>'


def _x(share: float) -> float:
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)
