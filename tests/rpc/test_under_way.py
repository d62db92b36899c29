"""What is under way of each user and of all is bounded, and forgotten when it ends."""

from __future__ import annotations

import pytest

from server.rpc.errors import ExportsBusy, UserBusy
from server.rpc.under_way import UnderWay


def test_each_user_has_as_many_as_the_limit() -> None:
    calls = UnderWay(UserBusy, of_user=1)
    with calls.begun("alice"), calls.begun("bob"):
        with pytest.raises(UserBusy) as refused, calls.begun("alice"):
            pass
        assert (refused.value.subject, refused.value.limit) == ("user", 1)
    with calls.begun("alice"):
        pass


def test_all_users_together_have_a_limit_of_their_own() -> None:
    exports = UnderWay(ExportsBusy, of_user=2, of_all=2)
    with exports.begun("alice"), exports.begun("bob"):
        with pytest.raises(ExportsBusy) as refused, exports.begun("cy"):
            pass
        assert (refused.value.subject, refused.value.quota) == ("server", "exports")


def test_what_fails_is_no_longer_under_way() -> None:
    calls = UnderWay(UserBusy, of_user=1)
    for _ in range(3):
        with pytest.raises(LookupError), calls.begun("alice"):
            raise LookupError
    assert not calls._users, "and nobody's name is kept"
