"""No decision depends on the last digits of a probability.

Numbers that the hardware may round either way are a tie, and a rule breaks it.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.tuning.algorithm import solve
from server.tuning.facts import RetrievalRules, facts_for_answer
from server.tuning.objective import Probabilities
from server.tuning.problem import Problem, Removal, Stopping
from tests.tuning.views import TAUGHT, view, z

NOISE = 2e-6
"""The relative noise of a probability: more than any two forward passes differed by in float32."""

DOG = {
    "AtLocation": ["kennel", "park"],
    "Desires": ["meat", "bones"],
    "HasA": ["tail"],
    "IsA": ["pet"],
}
H = tuple(z(r, "fish") for r in ("IsA", "Desires", "HasA"))


@given(st.lists(st.floats(1 - NOISE, 1 + NOISE), min_size=90, max_size=90))
def test_noise_does_not_flip_a_tie(noise: list[float]) -> None:
    seen, answers = view(DOG), ["fish", "meat", "bones", "tail", "pet", "kennel", "park"]
    wobble = iter(noise)
    triples = [*(v.triple for v in seen), *H]

    def equal(noisy: bool) -> Probabilities:
        relations = {r: 0.3 * (next(wobble) if noisy else 1) for r in DOG}
        reasoning = {
            (t, a): (0.9 if t.tail.text == a else 0.05) * (next(wobble) if noisy else 1)
            for t in triples
            for a in answers
        }
        scopes = {t: TAUGHT * (next(wobble) if noisy else 1) for t in H}
        return Probabilities(relations, reasoning, scopes)

    for stopping in Stopping:
        for removal in Removal:
            wobble = iter(noise * 2)
            still, noisy = equal(False), equal(True)
            epsilon = 3.0
            decisions = [
                solve(
                    Problem(
                        seen,
                        H,
                        "fish",
                        "meat",
                        p,
                        stopping=stopping,
                        removal=removal,
                        epsilon=epsilon,
                    )
                )
                for p in (still, noisy)
            ]
            assert decisions[0].added == decisions[1].added
            assert decisions[0].removed == decisions[1].removed
    facts = [facts_for_answer(seen, p, RetrievalRules()) for p in (still, noisy)]
    assert facts[0] == facts[1]
