"""What a call is expected to need, by what the calls before it needed."""

from __future__ import annotations

import pytest

from server.rpc.needs import KEPT_CALLS, REMEMBERED_S, Needs
from server.tuning.ticket import Need, Ticket

NOTHING = Need()


def called(tokens: int, seconds: float, *, expected: Need = NOTHING, ended: float = 0.0) -> Ticket:
    return Ticket(expected, 0, ended - seconds, ended, tokens)


def after(*tickets: Ticket, cut_off: bool = False) -> Needs:
    needs = Needs()
    for ticket in tickets:
        needs.note("Answer", ticket, cut_off=cut_off)
    return needs


def test_the_median_of_the_last_calls_of_the_method_is_usual() -> None:
    needs = after(called(100, 1.0), called(900, 9.0), called(200, 3.0))
    assert needs.usual("Answer", 0.0) == Need(200, 3.0)
    assert needs.usual("Personalize", 0.0) == NOTHING


def test_only_the_last_calls_count() -> None:
    calls = [called(900, 9.0)] * KEPT_CALLS + [called(100, 1.0)] * (KEPT_CALLS // 2 + 1)
    assert after(*calls).usual("Answer", 0.0) == Need(100, 1.0)


def test_what_is_long_ago_counts_no_more() -> None:
    needs = after(called(900, 9.0), called(900, 9.0), called(100, 1.0, ended=REMEMBERED_S))
    assert needs.usual("Answer", REMEMBERED_S + 1) == Need(100, 1.0)
    assert needs.usual("Answer", 2 * REMEMBERED_S + 1) == NOTHING


def test_a_call_that_did_not_ask_the_model_tells_nothing() -> None:
    assert after(Ticket()).usual("Answer", 0.0) == NOTHING


@pytest.mark.parametrize(
    ("got", "counted"), [((50, 9.0), Need(200, 9.0)), ((300, 0.5), Need(300, 3.0))]
)
def test_a_call_that_was_cut_off_needed_at_least_what_is_usual(
    got: tuple[int, float], counted: Need
) -> None:
    needs = after(called(*got, expected=Need(200, 3.0)), cut_off=True)
    assert needs.usual("Answer", 0.0) == counted
