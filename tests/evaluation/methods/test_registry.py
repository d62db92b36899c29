from __future__ import annotations

import pytest

from evaluation.methods.registry import ALL, METHODS, UnknownMethod, chosen
from evaluation.paper.units import slug


def test_methods_are_chosen_by_name_in_the_order_of_the_tables() -> None:
    assert list(chosen(["model alone", "KGT literal"])) == ["KGT literal", "model alone"]
    assert chosen([ALL]) == METHODS


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownMethod, match="no edit, model alone"):
        chosen(["KGT", "no edit"])


def test_no_two_methods_share_a_file_and_none_has_a_comma() -> None:
    assert len({slug(name) for name in METHODS}) == len(METHODS)
    assert not [name for name in METHODS if "," in name], "lists of methods are cut at commas"
