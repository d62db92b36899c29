"""What KGT_MODEL=ray://... may say."""

from __future__ import annotations

import pytest

from server.errors import ModelUnusable
from server.lm.replicas.address import ReplicasAddress


def test_an_address_names_a_cluster_and_an_application() -> None:
    assert ReplicasAddress.parse("ray://head:6379") == ReplicasAddress("head:6379", "kgt")
    assert ReplicasAddress.parse("ray://head:6379/other/") == ReplicasAddress("head:6379", "other")


@pytest.mark.parametrize(
    "text", ["ray://head", "ray://", "ray://head:port/kgt", "ray://head:1/a/b", "http://head:1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ModelUnusable, match="ray://HOST:PORT"):
        ReplicasAddress.parse(text)
