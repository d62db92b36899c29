"""Fingerprints of bases. Stores hold them, so they never change."""

from __future__ import annotations

from server.stores.rules.base_graph import base_fingerprint


def test_a_fingerprint_does_not_depend_on_the_order_of_loading() -> None:
    one, two = 0x3D, 0xF00
    assert base_fingerprint(one ^ two, 0) == base_fingerprint(two ^ one, 0)
    assert base_fingerprint(one ^ two, 0) != base_fingerprint(0, one ^ two)
    assert len(base_fingerprint(one, two)) == 16
