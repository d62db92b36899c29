"""No word waits for another user's text, no call starves, and overload is told early.

The model is a script, and so is its clock.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.lm.pace import REMEMBERED_S, Overloaded
from server.lm.schedule import Ending
from server.tuning.ticket import Ticket
from tests.lm.scripted import Model, Scripted, expecting, generation, scoring

# A share for prompts


def test_while_a_text_is_written_prompts_get_their_share_of_a_pass() -> None:
    model = Model(generation("g", 30, text=4), share=0.2)
    assert model.run() == {"g": 30}
    model.add(scoring("a", 15))
    model.add(scoring("b", 70, cuts=True))
    model.add(generation("h", 9))
    assert model.run() == {"g": 1, "a": 15, "b": 2, "h": 3}
    assert model.run() == {"g": 1, "b": 14, "h": 6}
    assert model.run() == {"g": 1, "h": 1, "b": 20}


def test_the_share_binds_nothing_while_no_text_is_written() -> None:
    model = Model(scoring("a", 60), generation("g", 30), share=0.2)
    assert model.run() == {"a": 60, "g": 30}


def test_another_call_never_delays_the_next_word_by_more_than_the_share() -> None:
    model = Model(generation("g", 10, text=200), share=0.2)
    model.run()
    for number in range(20):
        model.add(scoring(f"long {number}", 90, cuts=True))
    while "g" not in model.done_at:
        before = model.now
        assert model.run()["g"] == 1
        assert model.now - before <= 0.01 * (1 + 20) + 1e-9


def test_what_cannot_be_cut_goes_over_the_share_once_it_is_the_oldest() -> None:
    model = Model(generation("g", 10), scoring("a", 90), share=0.2)
    model.run()
    model.add(scoring("whole", 60))
    model.add(scoring("b", 20))
    assert model.run() == {"g": 1, "whole": 60}
    assert model.run() == {"g": 1, "b": 20}


def test_what_fits_no_pass_next_to_a_text_gets_every_second_one() -> None:
    """Two trees of a whole budget, which cannot be cut, while a text is written all the time."""
    model = Model(generation("g", 10), budget=100)
    model.run()
    model.add(scoring("whole", 200, piece=100))
    model.add(scoring("small", 10))
    assert [model.run() for _ in range(4)] == [
        {"whole": 100},
        {"g": 1, "small": 10},
        {"whole": 100},
        {"g": 1},
    ]


def test_short_work_passes_many_long_ones() -> None:
    """Each long one leaves half of what it finds, so there is room for a question behind them."""
    model = Model(*(scoring(f"long {n}", 5_000, cuts=True) for n in range(3)))
    model.run()
    model.add(scoring("short", 10))
    assert model.run() == {"long 0": 50, "long 1": 25, "long 2": 15, "short": 10}


# No call starves


@given(
    st.integers(1, 400),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 200), st.booleans(), st.booleans()), min_size=1, max_size=6),
    st.floats(0.05, 1),
)
def test_whatever_keeps_coming_a_call_ends(
    tokens: int, cuts: bool, others: list[tuple[int, bool, bool]], share: float
) -> None:
    """Younger calls come for ever, as many as the model can begin, next to endless texts."""
    old = Ticket()
    model = Model(*(generation(f"{n}", 10) for n in range(3)), share=share, capacity=10_000)
    model.run()
    stages = [
        scoring("first", tokens, cuts=cuts, ticket=old),
        generation("second", tokens, text=3, ticket=old),
        scoring("third", tokens, piece=40, ticket=old),
    ]
    for stage in stages:
        model.add(stage)
        for _ in range(1000):
            for size, cut, is_text in others:
                name = f"{model.now} {size}"
                model.add(
                    generation(name, size, text=2) if is_text else scoring(name, size, cuts=cut)
                )
            model.run()
            if stage.name in model.done_at:
                break
        assert stage.name in model.done_at


# Overload


def busy(*more: Scripted, **bounds: float) -> Model:
    """A model that was found to read 100 tokens of prompts a second."""
    model = Model(scoring("a", 90), scoring("b", 90), **bounds)  # type: ignore[arg-type]
    model.run()
    for work in more:
        model.add(work)
    return model


def within(seconds: float, model: Model, work: Scripted) -> Scripted:
    work.deadline = model.now + seconds
    return work


def test_what_cannot_be_done_in_time_is_refused_at_once() -> None:
    """90 tokens wait, which takes 0.9 s."""
    model = busy()
    with pytest.raises(Overloaded) as refused:
        model.add(within(0.8, model, scoring("c", 10)))
    assert refused.value.retry_after_s == 1.0
    model.add(within(1.0, model, scoring("c", 10)))
    model.add(scoring("no deadline", 10))
    assert list(model.run()) == ["b", "c"]


def test_the_refusal_says_when_the_queue_will_be_short_enough() -> None:
    model = busy(scoring("c", 1000, cuts=True))
    with pytest.raises(Overloaded) as refused:
        model.add(within(2.9, model, scoring("d", 10)))
    assert refused.value.retry_after_s == pytest.approx(8.0)


def test_what_the_call_itself_usually_needs_counts() -> None:
    model = busy()
    with pytest.raises(Overloaded):
        model.add(within(1.5, model, Scripted("c", 10, ticket=expecting(100, 0.7))))
    model.add(within(1.7, model, Scripted("c", 10, ticket=expecting(100, 0.7))))


def test_what_the_calls_ahead_will_still_ask_counts() -> None:
    """A call of 300 tokens has asked for 10 of them. It has read 10 more, in a stage before."""
    ahead = expecting(300, 2.0)
    model = busy()
    model.run()
    model.add(scoring("x", 10, ticket=ahead))
    model.run()
    model.add(scoring("ahead", 10, ticket=ahead))
    with pytest.raises(Overloaded):
        model.add(within(2.8, model, scoring("c", 10)))
    model.add(within(3.0, model, scoring("c", 10)))


def test_what_the_pass_that_is_running_reads_no_longer_counts() -> None:
    model = busy()
    model.schedule.next_pass(model.now)
    model.add(within(0.1, model, scoring("c", 10)))


def test_a_model_that_has_not_been_measured_lately_refuses_nobody() -> None:
    model = Model(scoring("a", 1000, cuts=True))
    model.add(within(0.1, model, scoring("b", 10)))
    model = busy()
    model.now += 2 * REMEMBERED_S
    model.add(within(0.1, model, scoring("c", 10)))


def test_a_call_that_has_begun_is_not_refused() -> None:
    begun = Ticket()
    model = Model(scoring("a", 10, ticket=begun), scoring("b", 90), scoring("c", 90))
    model.run()
    model.add(within(0.1, model, scoring("a again", 10, ticket=begun)))
    assert next(iter(model.run())) == "a again"


def test_a_call_without_enough_time_left_makes_room_for_others() -> None:
    """It waits longer than was expected when it came."""
    model = Model(scoring("a", 90), scoring("b", 90))
    model.add(within(2.5, model, Scripted("c", 60, ticket=expecting(60, 1.0))))
    model.run()
    model.now = 1.4
    assert (model.run(), model.ended) == ({"b": 90}, {})
    model.add(scoring("d", 60))
    assert (model.run(), model.ended) == ({"d": 60}, {"c": Ending.HOPELESS})


def test_a_call_without_enough_time_left_is_tried_while_there_is_room_for_all() -> None:
    model = Model()
    model.add(within(0.5, model, Scripted("a", 60, ticket=expecting(60, 1.0))))
    model.add(scoring("b", 30))
    assert model.run() == {"a": 60, "b": 30}
