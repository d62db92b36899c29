"""Keys in one matrix, compared with a plain loop over them, and how they are kept."""

from __future__ import annotations

import numpy as np
import pytest

from server.tuning.key_rows import KeyRows, packed, unpacked
from server.tuning.ports import Key


def keys(count: int, width: int = 8) -> Key:
    """Keys of length 1, always the same ones."""
    drawn = np.random.default_rng(15).standard_normal((count, width)).astype(np.float32)
    rows: Key = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return rows


def test_near_texts_come_nearest_first_down_to_the_floor() -> None:
    drawn, rows = keys(101), KeyRows()
    for n in range(1, 101, 33):  # more and more room is needed
        rows.add([str(m) for m in range(n, min(n + 33, 101))], drawn[n : n + 33])
    assert len(rows) == 100
    products = {str(n): float(drawn[n] @ drawn[0]) for n in range(1, 101)}
    expected = sorted((t for t, p in products.items() if p >= 0.3), key=lambda t: -products[t])
    found = list(rows.near(drawn[0], 0.3))
    assert [text for text, _ in found] == expected
    assert dict(found) == pytest.approx({t: products[t] for t in expected}, abs=1e-6)


def test_there_is_nothing_near_where_there_is_nothing() -> None:
    assert list(KeyRows().near(keys(1)[0], -1)) == []
    assert (KeyRows().width, KeyRows().bytes) == (0, 0)


def test_a_selection_has_the_same_keys_and_grows_by_itself() -> None:
    drawn, rows = keys(4), KeyRows()
    rows.add(["a", "b", "c"], drawn[:3])
    chosen = rows.only({"c", "a", "unknown"})
    chosen.add(["d"], drawn[3:])
    assert ["a" in chosen, "b" in chosen, "c" in chosen, "d" in rows] == [True, False, True, False]
    assert dict(chosen.near(drawn[2], 0.999)) == {"c": pytest.approx(1)}
    assert dict(chosen.near(drawn[3], 0.999)) == {"d": pytest.approx(1)}
    assert len(rows.only(set())) == 0


def test_the_hardwares_rounding_does_not_decide_at_the_floor() -> None:
    rows, key = KeyRows(), keys(1)[0]
    rows.add(["just below 1"], key[None] * np.float32(1 - 2e-7))
    assert list(rows.near(key, 1.0)) == [("just below 1", 1.0)]


def test_a_kept_key_takes_two_bytes_a_number_and_comes_back_with_length_1() -> None:
    drawn = keys(2)
    stored = {"a": packed(drawn[0]), "b": packed(drawn[1])}
    assert len(stored["a"]) == 2 * drawn.shape[1]
    texts, rows = unpacked(stored)
    assert texts == ["a", "b"]
    assert rows == pytest.approx(drawn, abs=1e-3)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_the_least_byte_of_a_kept_number_comes_first() -> None:
    assert packed(np.array([1, -2], np.float32)) == b"\x00\x3c\x00\xc0"


@pytest.mark.parametrize(
    "wrong", [b"", b"\x00\x3c", b"\x00" * 16, b"\x00\x7e" * 8, b"\x00\x7c" * 8]
)
def test_what_is_not_a_key_is_left_out(wrong: bytes) -> None:
    """It has another width, no length, or numbers that are none: an import may bring any bytes."""
    drawn = keys(2)
    stored = {"a": packed(drawn[0]), "wrong": wrong, "b": packed(drawn[1])}
    texts, rows = unpacked(stored)
    assert texts == ["a", "b"]
    assert rows.shape == drawn.shape
    assert np.isfinite(rows).all()
