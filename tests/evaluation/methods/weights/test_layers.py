from __future__ import annotations

import pytest

from evaluation.methods.weights.layers import Layers, layers_text, parse_layers, spread


@pytest.mark.parametrize(
    ("layers", "text"), [((8,), "8"), ((13, 14, 15), "13-15"), ((2, 11), "2 11"), ((0, 1), "0-1")]
)
def test_layers_are_read_as_they_are_written(layers: Layers, text: str) -> None:
    assert layers_text(layers) == text
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "x", "3 2", "-1", "2 2", "5-3", "1-"])
def test_what_are_no_layers_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_layers(text)


def test_candidates_are_spread_over_the_depth_and_are_as_many_in_a_row() -> None:
    assert spread((10,), 30, 5) == [(10,), (0,), (7,), (14,), (22,), (29,)]
    assert spread((27, 28, 29), 30, 3) == [(27, 28, 29), (0, 1, 2), (14, 15, 16)]
    assert spread((0, 1, 2), 3, 5) == [(0, 1, 2)], "all layers are the only candidate"
