"""What runs in the next pass, planned for work that is nothing but numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ModelBusy, ShuttingDown
from server.lm import schedule
from server.lm.schedule import Budget, Ending
from server.tuning.ticket import Ticket
from tests.lm.scripted import Model, Scripted, endings, generation, read, scoring

# The order


def test_what_waits_goes_in_the_order_in_which_it_came_up_to_the_budget() -> None:
    model = Model(*(scoring(name, 40) for name in "abcde"))
    assert [model.run() for _ in range(3)] == [{"a": 40, "b": 40}, {"c": 40, "d": 40}, {"e": 40}]
    assert not model.schedule.has_work


def test_what_does_not_fit_is_first_next_and_smaller_work_takes_the_room() -> None:
    model = Model(scoring("a", 60), scoring("large", 60), scoring("small", 10))
    assert model.run() == {"a": 60, "small": 10}
    model.add(scoring("b", 60))
    assert model.run() == {"large": 60}
    assert model.run() == {"b": 60}


def test_what_is_larger_than_a_pass_gets_one_of_its_own() -> None:
    model = Model(scoring("huge", 250), scoring("a", 10))
    assert model.run() == {"huge": 250}
    assert model.run() == {"a": 10}


def test_what_has_begun_goes_before_what_came_later() -> None:
    model = Model(scoring("pieces", 80, piece=40))
    assert model.run() == {"pieces": 40}
    model.add(scoring("new", 30))
    model.add(scoring("newer", 40))
    assert model.run() == {"pieces": 40, "new": 30}
    assert model.run() == {"newer": 40}


def test_a_later_stage_of_an_older_call_goes_before_the_first_of_a_newer_one() -> None:
    old, new = Ticket(), Ticket()
    model = Model(scoring("old, first", 90, ticket=old))
    model.run()
    model.add(scoring("new, first", 90, ticket=new))
    model.add(scoring("newest", 90))
    model.add(scoring("old, second", 90, ticket=old))
    assert [list(model.run()) for _ in range(2)] == [["old, second"], ["new, first"]]
    model.add(generation("new, second", 90, ticket=new))
    assert next(iter(model.run())) == "new, second"


def test_what_is_not_prepared_keeps_its_place_and_others_pass_it() -> None:
    slow = scoring("slow", 40)
    slow.ready = False
    model = Model(slow, scoring("a", 80), scoring("b", 80))
    assert model.run() == {"a": 80}
    slow.ready = True
    assert model.run() == {"slow": 40}
    assert model.run() == {"b": 80}


def test_nothing_is_to_be_done_while_all_that_waits_is_being_prepared() -> None:
    slow = scoring("slow", 40)
    slow.ready = False
    model = Model(slow)
    assert not model.schedule.has_work
    slow.ready = True
    assert model.schedule.has_work


# Generations


def test_a_generation_reads_its_prompt_in_one_pass_and_then_token_by_token() -> None:
    model = Model(generation("g", 30))
    assert [model.run() for _ in range(3)] == [{"g": 30}, {"g": 1}, {"g": 1}]


def test_what_is_longer_than_a_pass_leaves_half_of_it_while_others_wait() -> None:
    model = Model(generation("g", 280))
    assert model.run() == {"g": 100}
    model.add(scoring("a", 40))
    model.add(scoring("b", 40))
    assert model.run() == {"g": 50, "a": 40}
    assert model.run() == {"g": 60, "b": 40}
    assert model.run() == {"g": 70}


def test_what_comes_while_a_generation_is_under_way_joins_the_very_next_pass() -> None:
    model = Model(generation("g", 30))
    model.run()
    model.add(scoring("a", 60))
    assert model.run() == {"g": 1, "a": 60}


def test_generations_beyond_the_streams_wait_and_scoring_passes_them() -> None:
    model = Model(generation("g", 10, text=2), generation("h", 10), scoring("a", 20), streams=1)
    assert model.run() == {"g": 10, "a": 20}
    assert model.run() == {"g": 1}
    assert model.run() == {"h": 10}


def test_streams_that_found_no_room_come_first_in_the_next_pass() -> None:
    """A budget of 8 leaves 4 tokens to the generations that write."""
    model = Model(*(generation(name) for name in "abcdef"), budget=8)
    assert list(model.run()) == ["a", "b", "c", "d", "e", "f"]
    assert list(model.run()) == ["a", "b", "c", "d"]
    assert list(model.run()) == ["e", "f", "a", "b"]
    assert list(model.run()) == ["c", "d", "e", "f"]


def test_a_stream_that_ends_costs_no_other_its_turn() -> None:
    works = [generation(name) for name in "abcdef"]
    model = Model(*works, budget=8)
    model.run()
    assert list(model.run()) == ["a", "b", "c", "d"]
    model.schedule.remove(works[0])
    assert list(model.run()) == ["e", "f", "b", "c"]


# What leaves without a pass


def test_an_empty_request_ends_when_it_is_prepared() -> None:
    model = Model(scoring("empty", 0), scoring("a", 10))
    assert (model.run(), model.ended) == ({"a": 10}, {"empty": Ending.EMPTY})


def test_what_is_cancelled_leaves_wherever_it_stands() -> None:
    works = [generation("g"), scoring("a", 120, piece=60), scoring("b", 90)]
    model = Model(*works)
    assert model.run() == {"g": 1, "a": 60}
    for work in works:
        work.is_cancelled = True
    assert model.schedule.has_work
    planned = model.schedule.next_pass(0.0)
    assert planned.turns == ()
    assert endings(planned) == dict.fromkeys("gab", Ending.CANCELLED)
    assert not model.schedule.has_work


def test_a_deadline_counts_until_the_first_pass_only() -> None:
    begun, late = scoring("begun", 120, piece=60), scoring("late", 60)
    begun.deadline = late.deadline = 5.0
    model = Model(begun, late)
    assert read(model.schedule.next_pass(4.0)) == {"begun": 60}
    planned = model.schedule.next_pass(5.0)
    assert (read(planned), endings(planned)) == ({"begun": 60}, {"late": Ending.LATE})


def test_a_deadline_counts_while_the_work_is_prepared() -> None:
    slow = scoring("slow", 60)
    slow.ready, slow.deadline = False, 5.0
    model = Model(slow, scoring("a", 10))
    planned = model.schedule.next_pass(5.0)
    assert (read(planned), endings(planned)) == ({"a": 10}, {"slow": Ending.LATE})


# The bounds


def test_a_full_queue_is_busy_until_something_in_it_is_cancelled() -> None:
    works = [scoring(name, 10) for name in "ab"]
    model = Model(*works, capacity=2)
    with pytest.raises(ModelBusy) as busy:
        model.add(scoring("c", 10))
    assert busy.value.retry_after_s is not None
    works[0].is_cancelled = True
    model.add(scoring("c", 10))
    assert [work.name for work in model.schedule.waiting] == ["b", "c"]


def test_a_full_queue_takes_the_later_stages_of_calls_that_have_begun() -> None:
    begun = Ticket()
    model = Model(scoring("a", 10, ticket=begun), capacity=1)
    model.run()
    model.add(scoring("b", 10))
    with pytest.raises(ModelBusy):
        model.add(scoring("c", 10))
    model.add(scoring("a again", 10, ticket=begun))
    assert list(model.run()) == ["a again", "b"]


def test_what_is_under_way_does_not_count_as_waiting() -> None:
    model = Model(scoring("a", 120, piece=60), capacity=1)
    model.run()
    model.add(scoring("b", 10))
    assert [work.name for work in model.schedule.under_way] == ["a"]


def test_a_closed_schedule_finishes_what_is_under_way_and_refuses_the_rest() -> None:
    model = Model(scoring("a", 120, piece=60), scoring("b", 90))
    assert model.run() == {"a": 60}
    model.schedule.close()
    with pytest.raises(ShuttingDown):
        model.add(scoring("c", 10))
    assert (model.run(), model.ended) == ({"a": 60}, {"b": Ending.STOPPING})


@given(
    st.lists(
        st.builds(
            Scripted,
            st.uuids().map(str),
            st.integers(1, 60),
            st.none() | st.just(1),
            st.integers(1, 20),
            st.booleans(),
            st.integers(1, 5),
        ),
        max_size=20,
    ),
    st.integers(1, 40),
    st.integers(1, 4),
    st.floats(0.01, 1),
)
def test_everything_is_read_whole_and_no_pass_of_several_is_over_the_budget(
    works: list[Scripted], budget: int, streams: int, share: float
) -> None:
    wanted = {work.name: work.tokens for work in works}
    model = Model(*works, budget=budget, streams=streams, share=share)
    for _ in range(10_000):
        if not model.schedule.has_work:
            break
        tokens = model.run().values()
        assert tokens, "no pass is empty while there is work"
        assert sum(tokens) <= budget or len(tokens) == 1
    assert model.done_at.keys() == wanted.keys()
    for work in works:
        written = len(work.passes) - 1 if work.stream is not None else 0
        assert sum(work.passes) >= wanted[work.name]
        assert sum(work.passes) - written <= wanted[work.name]


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
