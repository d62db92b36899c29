"""Errors, tickets and passes mean the same on both sides."""

from __future__ import annotations

import pickle

import pytest

from server.errors import DeadlinePassed, Internal, KgtError, TextTooLong
from server.lm.pace import Overloaded
from server.lm.replicas.wire import Failure, SentTicket, of_replica
from server.tuning.ports import ModelCost
from server.tuning.ticket import Need, Ticket


@pytest.mark.parametrize(
    "error",
    [
        TextTooLong("query", 400, 256),
        Overloaded(7.5),
        DeadlinePassed("too late", retry_after_s=None),
        Internal("a defect"),
    ],
)
def test_an_error_comes_back_as_it_was(error: KgtError) -> None:
    back = pickle.loads(pickle.dumps(Failure.of(error))).error()
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.reason == error.reason


def test_an_error_that_this_server_does_not_know_is_internal() -> None:
    assert type(Failure("FromTheFuture", "said by a user", {}).error()) is Internal
    assert "said by a user" not in str(Failure("FromTheFuture", "said by a user", {}).error())


def test_a_ticket_keeps_its_place_and_its_times_on_another_clock() -> None:
    here = Ticket(Need(10, 2.0), number=5, began=100.0, ended=103.0, tokens_read=7)
    sent = SentTicket.of(here, now=110.0)
    there = sent.received(now=1_010.0)
    assert (there.expected, there.number, there.tokens_read) == (Need(10, 2.0), 5, 7)
    assert (there.began, there.ended) == (1_000.0, 1_003.0)
    there.ended, there.tokens_read = 1_014.0, 12
    here.tokens_read += 3  # other work of the call
    SentTicket.of(there, now=1_015.0).note(here, sent, now=115.0)
    assert (here.began, here.ended, here.tokens_read) == (100.0, 114.0, 15)


def test_passes_of_two_replicas_are_not_one() -> None:
    costs = [of_replica(ModelCost(1, passes=frozenset({4})), replica) for replica in (1, 2)]
    assert (costs[0] + costs[1]).forward_passes == 2
    assert (costs[0] + costs[0]).forward_passes == 1
