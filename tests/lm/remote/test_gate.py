"""Requests go in the order in which their calls came, a bounded number at a time."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.errors import DeadlinePassed, ModelBusy
from server.lm.remote.gate import Gate
from server.tuning.deadline import deadline_at
from server.tuning.ticket import Ticket, call_ticket


async def turn_of(gate: Gate, name: str, had: list[str]) -> None:
    with gate.place() as ticket:
        async with gate.turn(ticket):
            had.append(name)


async def test_the_requests_of_older_calls_go_first() -> None:
    gate, had = Gate(1, 9), list[str]()
    older, newer = Ticket(number=1), Ticket(number=2)
    async with gate.turn(Ticket(number=0)):
        waiting = []
        for name, ticket in (("newer", newer), ("older", older), ("older again", older)):
            call_ticket.set(ticket)
            waiting.append(asyncio.create_task(turn_of(gate, name, had)))
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert had == ["older", "older again", "newer"]


async def test_a_caller_that_left_takes_no_turn() -> None:
    gate, had = Gate(1, 9), list[str]()
    async with gate.turn(Ticket(number=0)):
        left, stays = (asyncio.create_task(turn_of(gate, n, had)) for n in ("left", "stays"))
        await asyncio.sleep(0)
        left.cancel()
    await stays
    assert had == ["stays"]
    await turn_of(gate, "next", had)
    assert had == ["stays", "next"]


async def test_a_turn_that_comes_as_its_caller_leaves_is_passed_on() -> None:
    gate, had = Gate(1, 9), list[str]()
    async with gate.turn(Ticket(number=0)):
        left, stays = (asyncio.create_task(turn_of(gate, n, had)) for n in ("left", "stays"))
        await asyncio.sleep(0)
    left.cancel()  # its turn has come, and it does not know yet
    await stays
    assert had == ["stays"]


async def test_waiting_ends_at_the_deadline() -> None:
    gate = Gate(1, 9)
    async with gate.turn(Ticket(number=0)):
        with deadline_at(time.monotonic() + 0.01), pytest.raises(DeadlinePassed):
            await turn_of(gate, "late", [])
    await turn_of(gate, "next", [])


async def test_a_full_queue_takes_only_the_work_of_calls_that_have_begun() -> None:
    gate, had = Gate(1, 1), list[str]()
    begun = Ticket(number=-1)  # older than any that the gate numbers
    async with gate.turn(begun):
        waiting = asyncio.create_task(turn_of(gate, "waiting", had))
        await asyncio.sleep(0)
        with pytest.raises(ModelBusy):
            await turn_of(gate, "refused", had)
        call_ticket.set(begun)
        more = asyncio.create_task(turn_of(gate, "begun", had))
        await asyncio.sleep(0)
    await asyncio.gather(waiting, more)
    assert had == ["begun", "waiting"]
