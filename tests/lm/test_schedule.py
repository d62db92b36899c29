"""What runs in the next pass, planned for work that is nothing but numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ModelBusy, ShuttingDown
from server.lm import schedule
from server.lm.schedule import Budget, Ending, Pass, Schedule


@dataclass(eq=False)
class Scripted:
    """Work with `tokens` to read, in pieces of `piece`. A stream reads as much as fits."""

    name: str
    tokens: int
    stream: int | None = None
    piece: int = 0
    deadline: float | None = None
    ready: bool = True
    is_cancelled: bool = False
    passes: list[int] = field(default_factory=list)

    def tokens_wanted(self, room: int) -> int:
        if self.stream is not None:
            return min(room, self.tokens)
        return min(self.tokens, self.piece or self.tokens)


def scoring(name: str, tokens: int, piece: int = 0) -> Scripted:
    return Scripted(name, tokens, piece=piece)


def generation(name: str, tokens: int = 1) -> Scripted:
    return Scripted(name, tokens, stream=sum(map(ord, name)))


def scheduled(
    *works: Scripted, budget: int = 100, capacity: int = 50, streams: int = 8
) -> Schedule[Scripted]:
    plan = Schedule[Scripted](Budget(budget), capacity, streams)
    for work in works:
        plan.add(work)
    return plan


def run(plan: Schedule[Scripted], now: float = 0.0) -> dict[str, int]:
    """Run one pass, and tell who read how much.

    Scoring that has read everything leaves. A stream goes on token by token.
    """
    planned = plan.next_pass(now)
    for turn in planned.turns:
        turn.work.passes.append(turn.tokens)
        turn.work.tokens -= turn.tokens
        if turn.work.stream is not None:
            turn.work.tokens = max(1, turn.work.tokens)
        elif not turn.work.tokens:
            plan.remove(turn.work)
    return read(planned)


def read(planned: Pass[Scripted]) -> dict[str, int]:
    return {turn.work.name: turn.tokens for turn in planned.turns}


def endings(planned: Pass[Scripted]) -> dict[str, Ending]:
    return {work.name: ending for work, ending in planned.ended}


# The order


def test_what_waits_goes_in_the_order_in_which_it_came_up_to_the_budget() -> None:
    plan = scheduled(*(scoring(name, 40) for name in "abcde"))
    assert [run(plan) for _ in range(3)] == [{"a": 40, "b": 40}, {"c": 40, "d": 40}, {"e": 40}]
    assert not plan.has_work


def test_nothing_overtakes_work_that_does_not_fit() -> None:
    plan = scheduled(scoring("a", 60), scoring("large", 60), scoring("small", 10))
    assert run(plan) == {"a": 60}
    assert run(plan) == {"large": 60, "small": 10}


def test_what_is_larger_than_a_pass_gets_one_of_its_own() -> None:
    plan = scheduled(scoring("huge", 250), scoring("a", 10))
    assert run(plan) == {"huge": 250}
    assert run(plan) == {"a": 10}


def test_what_has_begun_goes_before_what_waits() -> None:
    plan = scheduled(scoring("pieces", 180, piece=60))
    assert run(plan) == {"pieces": 60}
    plan.add(scoring("new", 30))
    plan.add(scoring("newer", 30))
    assert run(plan) == {"pieces": 60, "new": 30}
    assert run(plan) == {"pieces": 60, "newer": 30}


def test_what_is_not_prepared_keeps_its_place_and_others_pass_it() -> None:
    slow = scoring("slow", 40)
    slow.ready = False
    plan = scheduled(slow, scoring("a", 80), scoring("b", 80))
    assert run(plan) == {"a": 80}
    slow.ready = True
    assert run(plan) == {"slow": 40}
    assert run(plan) == {"b": 80}


def test_nothing_is_to_be_done_while_all_that_waits_is_being_prepared() -> None:
    slow = scoring("slow", 40)
    slow.ready = False
    plan = scheduled(slow)
    assert not plan.has_work
    slow.ready = True
    assert plan.has_work


# Generations


def test_a_generation_reads_its_prompt_in_one_pass_and_then_token_by_token() -> None:
    plan = scheduled(generation("g", 30))
    assert [run(plan) for _ in range(3)] == [{"g": 30}, {"g": 1}, {"g": 1}]


def test_a_long_prompt_leaves_half_of_each_pass_after_the_first() -> None:
    plan = scheduled(generation("g", 180))
    assert run(plan) == {"g": 100}
    plan.add(scoring("a", 40))
    assert run(plan) == {"g": 50, "a": 40}
    assert run(plan) == {"g": 30}


def test_what_comes_while_a_generation_is_under_way_joins_the_very_next_pass() -> None:
    plan = scheduled(generation("g", 30))
    run(plan)
    plan.add(scoring("a", 60))
    assert run(plan) == {"g": 1, "a": 60}


def test_generations_beyond_the_streams_wait_and_scoring_passes_them() -> None:
    first, second = generation("g", 10), generation("h", 10)
    plan = scheduled(first, second, scoring("a", 20), streams=1)
    assert run(plan) == {"g": 10, "a": 20}
    assert run(plan) == {"g": 1}
    plan.remove(first)
    assert run(plan) == {"h": 10}


def test_streams_that_found_no_room_come_first_in_the_next_pass() -> None:
    """A budget of 8 leaves 4 tokens to the generations that have begun."""
    plan = scheduled(*(generation(name) for name in "abcdef"), budget=8)
    assert list(run(plan)) == ["a", "b", "c", "d", "e", "f"]
    assert list(run(plan)) == ["a", "b", "c", "d"]
    assert list(run(plan)) == ["e", "f", "a", "b"]
    assert list(run(plan)) == ["c", "d", "e", "f"]


def test_a_stream_that_ends_costs_no_other_its_turn() -> None:
    works = [generation(name) for name in "abcdef"]
    plan = scheduled(*works, budget=8)
    run(plan)
    assert list(run(plan)) == ["a", "b", "c", "d"]
    plan.remove(works[0])
    assert list(run(plan)) == ["e", "f", "b", "c"]


# What leaves without a pass


def test_an_empty_request_ends_when_its_turn_comes() -> None:
    plan = scheduled(scoring("empty", 0), scoring("a", 10))
    planned = plan.next_pass(0.0)
    assert (read(planned), endings(planned)) == ({"a": 10}, {"empty": Ending.EMPTY})


def test_what_is_cancelled_leaves_wherever_it_stands() -> None:
    works = [generation("g"), scoring("a", 120, piece=60), scoring("b", 90)]
    plan = scheduled(*works)
    assert run(plan) == {"g": 1, "a": 60}
    for work in works:
        work.is_cancelled = True
    assert plan.has_work
    planned = plan.next_pass(0.0)
    assert planned.turns == ()
    assert endings(planned) == dict.fromkeys("gab", Ending.CANCELLED)
    assert not plan.has_work


def test_a_deadline_counts_until_the_first_pass_only() -> None:
    begun, late = scoring("begun", 120, piece=60), scoring("late", 60)
    begun.deadline = late.deadline = 5.0
    plan = scheduled(begun, late)
    assert run(plan, now=4.0) == {"begun": 60}
    planned = plan.next_pass(5.0)
    assert (read(planned), endings(planned)) == ({"begun": 60}, {"late": Ending.LATE})


def test_a_deadline_counts_while_the_work_is_prepared() -> None:
    slow = scoring("slow", 60)
    slow.ready, slow.deadline = False, 5.0
    plan = scheduled(slow, scoring("a", 10))
    planned = plan.next_pass(5.0)
    assert (read(planned), endings(planned)) == ({"a": 10}, {"slow": Ending.LATE})


# The bounds


def test_a_full_queue_is_busy_until_something_in_it_is_cancelled() -> None:
    works = [scoring(name, 10) for name in "ab"]
    plan = scheduled(*works, capacity=2)
    with pytest.raises(ModelBusy) as busy:
        plan.add(scoring("c", 10))
    assert busy.value.retry_after_s is not None
    works[0].is_cancelled = True
    plan.add(scoring("c", 10))
    assert [work.name for work in plan.waiting] == ["b", "c"]


def test_what_is_under_way_does_not_count_as_waiting() -> None:
    plan = scheduled(scoring("a", 120, piece=60), capacity=1)
    run(plan)
    plan.add(scoring("b", 10))
    assert [work.name for work in plan.under_way] == ["a"]


def test_a_closed_schedule_finishes_what_is_under_way_and_refuses_the_rest() -> None:
    plan = scheduled(scoring("a", 120, piece=60), scoring("b", 90))
    assert run(plan) == {"a": 60}
    plan.close()
    with pytest.raises(ShuttingDown):
        plan.add(scoring("c", 10))
    planned = plan.next_pass(0.0)
    assert (read(planned), endings(planned)) == ({"a": 60}, {"b": Ending.STOPPING})


@given(
    st.lists(
        st.builds(
            Scripted,
            st.uuids().map(str),
            st.integers(1, 60),
            st.none() | st.just(1),
            st.integers(1, 20),
        ),
        max_size=20,
    ),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_everything_is_read_whole_and_no_pass_of_several_is_over_the_budget(
    works: list[Scripted], budget: int, streams: int
) -> None:
    wanted = {work.name: work.tokens for work in works}
    plan = scheduled(*works, budget=budget, streams=streams)
    for _ in range(10_000):
        if not plan.has_work:
            break
        planned = plan.next_pass(0.0)
        tokens = [turn.tokens for turn in planned.turns]
        assert tokens, "no pass is empty while there is work"
        assert sum(tokens) <= budget or len(tokens) == 1
        for turn in planned.turns:
            turn.work.passes.append(turn.tokens)
            turn.work.tokens -= turn.tokens
            if not turn.work.tokens:
                plan.remove(turn.work)
    assert {work.name: sum(work.passes) for work in works} == wanted


# The budget


def test_a_pass_that_does_not_fit_halves_the_budget_down_to_a_least() -> None:
    budget = Budget(100)
    assert budget.shrink(80)
    assert budget.tokens == 40
    assert budget.shrink(60)
    assert budget.tokens == 20
    assert budget.shrink(20)
    assert budget.tokens == 16
    assert not budget.shrink(16)
    assert budget.full == 100


def test_the_budget_grows_back_after_enough_passes_that_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule, "RECOVERY_PASSES", 3)
    budget = Budget(100)
    budget.shrink(60)
    assert [budget.note_fit() for _ in range(6)] == [False, False, True, False, False, True]
    assert budget.tokens == 100
    assert not any(budget.note_fit() for _ in range(9))


def test_another_shortage_starts_the_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "RECOVERY_PASSES", 2)
    budget = Budget(100)
    budget.shrink(100)
    budget.note_fit()
    budget.shrink(50)
    assert [budget.note_fit(), budget.note_fit()] == [False, True]
    assert budget.tokens == 50
