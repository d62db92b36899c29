"""Rates: how often calls may be made for a user and by a service, by a clock that a test sets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from server.rpc.errors import RateExceeded
from server.rpc.identity.callers import Identity
from server.rpc.rates import Rates, parsed

CHAT = Identity(name="chat", any_user=True)
ALICE = Identity(name="alice", user="alice")
ANYONE = Identity(any_user=True)


@dataclass
class Clock:
    """Stands where time's functions are looked for, and moves only when told to."""

    now_s: float = 1_700_000_000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("limits.storage.memory", "server.rpc.rates"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


def test_a_user_who_comes_back_when_told_to_is_served(clock: Clock) -> None:
    rates = Rates(user="3/minute")
    for _ in range(3):
        rates.take_caller(ALICE)
        clock.now_s += 10
    with pytest.raises(RateExceeded) as refused:
        rates.take_caller(ALICE)
    told = refused.value
    assert (told.subject, told.quota, told.limit) == ("user", "user_rate", "3 per 1 minute")
    assert told.retry_after_s == pytest.approx(30)
    assert told.retry_after_s is not None
    clock.now_s += told.retry_after_s + 0.001
    rates.take_caller(ALICE)
    with pytest.raises(RateExceeded):
        rates.take_caller(ALICE)


def test_refused_calls_do_not_put_off_the_next_one(clock: Clock) -> None:
    rates = Rates(user="1/minute")
    rates.take_caller(ALICE)
    for _ in range(60):
        clock.now_s += 0.9
        with pytest.raises(RateExceeded):
            rates.take_caller(ALICE)
    clock.now_s += 7
    rates.take_caller(ALICE)


def test_users_have_a_rate_each_and_share_none() -> None:
    rates = Rates(user="1/minute")
    for user in ("alice", "bob", "alice/1/1/minute"):
        rates.take_user(user, CHAT)
    with pytest.raises(RateExceeded):
        rates.take_user("alice", CHAT)


def test_a_users_own_calls_and_those_made_for_them_are_counted_together() -> None:
    rates = Rates(user="2/minute")
    rates.take_caller(ALICE)
    rates.take_user("alice", ALICE)  # was counted when the call came
    rates.take_user("alice", CHAT)
    with pytest.raises(RateExceeded):
        rates.take_caller(ALICE)
    with pytest.raises(RateExceeded):
        rates.take_user("alice", CHAT)


def test_a_service_has_a_rate_for_all_users_together() -> None:
    rates = Rates(service="2/second")
    rates.take_caller(CHAT)
    rates.take_caller(CHAT)
    with pytest.raises(RateExceeded) as refused:
        rates.take_caller(CHAT)
    assert (refused.value.subject, refused.value.quota) == ("service", "service_rate")
    rates.take_caller(Identity(name="other", any_user=True))
    rates.take_caller(ALICE)


def test_a_caller_who_proves_no_name_is_counted_by_user_only() -> None:
    rates = Rates(user="1/minute", service="1/minute")
    for user in ("alice", "bob"):
        rates.take_caller(ANYONE)
        rates.take_user(user, ANYONE)
    with pytest.raises(RateExceeded):
        rates.take_user("bob", ANYONE)


def test_a_certificate_without_a_user_is_counted_too() -> None:
    rates = Rates(user="1/minute")
    operator = Identity(name="alice", operator=True)
    rates.take_caller(operator)
    with pytest.raises(RateExceeded):
        rates.take_caller(operator)
    rates.take_caller(ALICE)


def test_what_one_part_of_a_rate_refuses_counts_for_no_other(clock: Clock) -> None:
    rates = Rates(user="1/second; 3/minute")
    rates.take_caller(ALICE)
    for _ in range(5):
        with pytest.raises(RateExceeded):
            rates.take_caller(ALICE)
    for _ in range(2):
        clock.now_s += 1.1
        rates.take_caller(ALICE)
    clock.now_s += 1.1
    with pytest.raises(RateExceeded, match="3 per 1 minute"):
        rates.take_caller(ALICE)


def test_none_limits_nothing() -> None:
    rates = Rates()
    for _ in range(2000):
        rates.take_caller(ALICE)
        rates.take_user("alice", CHAT)


@pytest.mark.parametrize("wrong", ["", "often", "5", "/minute", "-1/minute", "5/fortnight"])
def test_what_is_no_rate_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"parse|matched"):
        parsed(wrong)
