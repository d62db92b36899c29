"""The picture of the curves."""

from __future__ import annotations

from xml.etree import ElementTree

from evaluation.scopes.banks import Probe
from evaluation.scopes.curves import Sample, Thresholds
from evaluation.scopes.drawing import Curve, svg
from evaluation.scopes.table import Way
from evaluation.scopes.weighing import Near, Weighed

SAMPLE = Sample(
    [
        Weighed(Probe("p", 0, "set"), (Near("fact", 0.8, 0.9, True),)),
        Weighed(Probe("q", None, "set"), (Near("fact", 0.6, 0.1, False),)),
    ]
)
SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> ElementTree.Element:
    ways = (Way("keys only"), Way("a & b", 0.9))
    text = svg([Curve.of(way, SAMPLE) for way in ways], Thresholds(0.7, 0.9))
    return ElementTree.fromstring(text)


def test_each_way_has_a_curve_inside_the_picture_and_its_name() -> None:
    picture = drawn()
    groups = picture.findall(f"{SVG}g")
    assert [group.get("class") for group in groups] == ["way0", "way1"]
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    for circle in picture.iter(f"{SVG}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height
    names = [text.text for group in groups for text in group.iter(f"{SVG}text")]
    assert names == [
        "floor 0.70",
        "keys only (area 1.000)",
        "floor 0.70",
        "a & b (area 1.000)",
    ]


def test_a_ring_marks_the_models_own_floor() -> None:
    rings = [c for c in drawn().iter(f"{SVG}circle") if c.get("class") == "own"]
    left, top = min(float(r.attrib["cx"]) for r in rings), min(float(r.attrib["cy"]) for r in rings)
    assert [(float(r.attrib["cx"]), float(r.attrib["cy"])) for r in rings] == [(left, top)] * 2


def test_it_can_be_read_on_dark_too() -> None:
    style = drawn().find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")
