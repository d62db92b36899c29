from bench.overload import Simulation


def test_refusing_early_answers_more_calls_in_time() -> None:
    """Twice as many calls come as the model can answer."""
    told, untold = (Simulation(12, 5, 60, 0.25, told=told) for told in (True, False))
    for run in (told, untold):
        run.run()
    assert told.counts["in_time"] > 3 * untold.counts["in_time"]
    assert told.counts["refused"] > 2 * (told.counts["too_late"] + told.counts["refused_later"])
    assert untold.counts["refused"] == 0


def test_nobody_is_refused_while_the_model_keeps_up() -> None:
    run = Simulation(2, 20, 60, 0.25, told=True)
    run.run()
    assert set(run.counts) == {"in_time"}
