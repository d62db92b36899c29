from dataclasses import replace

import numpy as np

from server.tuning.memory import Memories, UserMemory
from server.tuning.ports import (
    Branch,
    ContinuationLogprob,
    GenerateRequest,
    ModelCost,
    Scores,
)


def learn(memory: UserMemory, prompt: str, *continuations: str) -> None:
    row = tuple(ContinuationLogprob(-float(len(c)), 1) for c in continuations)
    memory.learn([Branch(prompt, continuations)], Scores((row,), ModelCost()))


def test_what_was_said_is_remembered_by_prompt_and_continuation() -> None:
    memory = UserMemory(10_000)
    learn(memory, "q", " a", " bcd")
    learn(memory, "q", " e")
    assert memory.of("q", " bcd") == ContinuationLogprob(-4, 1)
    assert memory.of("q", " e") == ContinuationLogprob(-2, 1)
    assert memory.of("q", " f") is memory.of("r", " a") is None


def test_the_keys_of_the_last_prompts_are_remembered_and_take_no_room_from_what_was_said() -> None:
    memory = UserMemory(1_000)
    learn(memory, "q", " a")
    before = memory.bytes
    keys = np.eye(20, dtype=np.float32)
    for n, key in enumerate(keys):
        memory.learn([Branch(f"k{n}", (), keyed=True)], Scores(((),), ModelCost(), (key,)))
    last = memory.key_of("k19")
    assert last is not None
    assert list(last) == list(keys[19])
    assert memory.key_of("k0") is memory.key_of("q") is None
    assert memory.of("q", " a") is not None
    assert memory.bytes == before


def test_the_last_answers_are_remembered_until_the_user_edits_something() -> None:
    memory = UserMemory(1_000)
    requests = [GenerateRequest(f"q{n}", 8) for n in range(6)]
    for request in requests:
        memory.keep_answer(request, 3, request.prompt)
    assert memory.answer_to(requests[5], 3) == "q5"
    assert memory.answer_to(replace(requests[5], drafts=("a",)), 3) == "q5"
    assert memory.answer_to(replace(requests[5], max_tokens=9), 3) is None
    assert memory.answer_to(requests[0], 3) is None, "only the last ones"
    assert memory.answer_to(requests[5], 4) is None
    memory.keep_answer(requests[0], 4, "after the edit")
    assert memory.answer_to(requests[0], 4) == "after the edit"
    assert memory.answer_to(requests[5], 3) is memory.answer_to(requests[5], 4) is None


def test_an_answer_that_was_drawn_or_is_long_is_not_kept() -> None:
    memory = UserMemory(1_000)
    drawn, long = GenerateRequest("q", 8, temperature=0.7), GenerateRequest("q" * 5_000, 8)
    for request in (drawn, long):
        memory.keep_answer(request, 0, "a")
        assert memory.answer_to(request, 0) is None


def test_a_memory_is_bounded_in_bytes_and_forgets_the_oldest() -> None:
    memory = UserMemory(2_000)
    for n in range(50):
        learn(memory, f"q{n}", " a")
        learn(memory, f"q{n}", " b")
        assert 0 < memory.bytes <= 2_000
    assert memory.of("q49", " a") is not None
    assert memory.of("q0", " a") is None
    learn(memory, "x" * 3_000, " a")
    assert memory.bytes == 0, "what alone is too much is not kept"


def test_a_forgotten_users_memory_is_not_found_again_though_a_request_still_writes_into_it() -> (
    None
):
    memories = Memories(users=2)
    held = memories.of("alice")
    memories.forget("alice")
    learn(held, "q", " a")
    assert memories.of("alice").of("q", " a") is None


def test_only_the_last_users_are_remembered() -> None:
    memories = Memories(users=2)
    for user in ("alice", "bob", "alice", "carol"):
        learn(memories.of(user), "q", " a")
    assert memories.of("alice").of("q", " a") is not None
    assert memories.of("bob").of("q", " a") is None


def test_all_that_one_request_asks_ahead_finds_room() -> None:
    memory = Memories().of("alice")
    prompts = [f"{n:3} " + "x" * 150 for n in range(90)]
    for prompt in prompts:
        learn(memory, prompt, *(f" some tail {m}" for m in range(15)))
    assert memory.of(prompts[0], " some tail 0") is not None
