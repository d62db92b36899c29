"""Drafts save passes, and change nothing about the text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.lm.blocks import Segment
from server.lm.decoding import Generation
from server.lm.drafts import Drafts, Path, tokens_of
from server.lm.forward import BlockForward, MaskedForward, Taps
from server.lm.loading import LoadedModel
from server.lm.packing import Indices, whole_tree
from server.lm.states import StateTap
from server.lm.tokens import Tokenizer, finished
from server.lm.transformers_model import TransformersModel
from server.tuning.ports import Branch, GenerateRequest, ModelCost, Piece, Scores
from tests.conformance.language_model import whole

OFTEN = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PROMPT = "To answer the query: What does a dog enjoy?, I need information dog"


# What may follow


def test_at_the_start_every_draft_may_follow_the_likeliest_first() -> None:
    drafts = Drafts([(1, 2), (3,), (), (1, 2)])
    assert drafts.ahead(9, 9) == [(1, 2), (3,)]


def test_later_those_may_go_on_that_go_as_the_text_does() -> None:
    drafts = Drafts([(1, 2, 3), (1, 4, 5), (6, 2, 7)])
    drafts.follow(1)
    assert drafts.ahead(9, 9) == [(2, 3), (4, 5)]
    drafts.follow(2)
    assert drafts.ahead(9, 9) == [(3,), (7,)], "the one that has more in common comes first"
    drafts.follow(9)
    assert drafts.ahead(9, 9) == []
    drafts.follow(4)
    assert drafts.ahead(9, 9) == [(5,)], "a text that left all drafts may come back to one"


def test_a_tree_has_no_more_tokens_than_are_allowed_and_what_comes_first_fits_first() -> None:
    drafts = Drafts([(1, 2, 3), (1, 2), (1, 2, 3, 4), (1, 5, 6), (7,)])
    assert drafts.ahead(3, 9) == [(1, 2, 3)]
    assert drafts.ahead(5, 9) == [(1, 2, 3), (1, 2, 3, 4), (1, 5)]
    assert drafts.ahead(9, 2) == [(1, 2), (1, 5), (7,)]
    assert drafts.ahead(0, 9) == []


paths = st.lists(st.integers(0, 3), max_size=6).map(tuple)


@given(texts=st.lists(paths, max_size=8), written=paths, most=st.integers(0, 12))
def test_a_pass_with_room_for_just_this_tree_has_this_tree(
    texts: list[Path], written: Path, most: int
) -> None:
    drafts = Drafts(texts)
    for token in written:
        drafts.follow(token)
    ahead = drafts.ahead(most, 5)
    assert tokens_of(ahead) <= most
    assert drafts.ahead(tokens_of(ahead), 5) == ahead
    if ahead:
        tree = whole_tree([(9, *path) for path in ahead])
        segment = Segment.of_drafts(0, tree, 0, 1)
        assert len(segment.tokens) == 1 + tokens_of(ahead)
        for path in ahead:
            assert _walked(segment, path) == path


def _walked(segment: Segment, path: Path) -> Path:
    place: int | None = 0
    taken = []
    for token in path:
        assert place is not None
        place = segment.child(place, token)
        if place is not None:
            taken.append(int(segment.tokens[place]))
    return tuple(taken)


# Token for token, on the model


@dataclass(frozen=True, slots=True)
class Written:
    pieces: tuple[str, ...]
    cost: ModelCost

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def written(
    loaded: LoadedModel,
    request: GenerateRequest,
    drafts: Sequence[Path],
    *,
    most: int = 64,
    ends: frozenset[int] = frozenset(),
    room: int = 256,
    block_tokens: int = 64,
    again: bool = False,
) -> Written:
    """What a generation with these drafts writes, in passes with `room` tokens.

    With `again`, each pass runs twice, as it does where memory ran out after the first time.
    """
    forward = block_forward(loaded, block_tokens)
    prompt = Tokenizer(loaded.tokenizer, loaded.context_tokens).prompt(request.prompt)
    generation = Generation(
        0,
        prompt,
        request,
        loaded.tokenizer,
        ends,
        min(request.max_tokens, loaded.context_tokens - len(prompt)),
        Drafts(drafts),
        most,
    )
    pieces: list[Piece] = []
    while not generation.finished:
        wanted = generation.tokens_wanted(room)
        assert 0 < wanted <= room
        if again:
            forward.run([generation.next_segment(wanted)])
        segment = generation.next_segment(wanted)
        assert len(segment.tokens) == wanted
        advance = generation.advance(segment, forward.run([segment]).logits, len(pieces))
        if advance.kept is not None and not generation.finished:
            forward.keep(segment, advance.kept)
        pieces.append(advance.piece)
    forward.forget(0)
    assert not forward._kept._layers, "nothing is kept of what has ended"
    cost = sum((piece.cost for piece in pieces), ModelCost())
    return Written(tuple(piece.text for piece in pieces), cost)


def block_forward(loaded: LoadedModel, block_tokens: int) -> BlockForward:
    model = TransformersModel(loaded, block_tokens=block_tokens)
    model.close()
    forward = model._worker._forward
    assert isinstance(forward, BlockForward)
    return forward


def greedy(loaded: LoadedModel, prompt: str, length: int) -> Path:
    """The tokens that the model writes without a cache, one by one."""
    tokens = Tokenizer(loaded.tokenizer, loaded.context_tokens).prompt(prompt)
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(length):
            logits = loaded.model(input_ids=torch.tensor([tokens])).logits[0, -1]
            tokens.append(int(logits.argmax()))
    return tuple(tokens[start:])


LENGTH = 14
prompts = st.sampled_from([PROMPT, "the dog", "naïve café 犬", "", "0"])


@st.composite
def drafted(draw: st.DrawFn, truth: Path) -> list[Path]:
    """Drafts that follow the truth from a place in it, for a while, and then do not."""
    drafts = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.sampled_from([0, 0, 0, 1, 5]))
        end = draw(st.integers(start, len(truth)))
        wrong = draw(st.lists(st.integers(0, 599), max_size=3))
        drafts.append((*truth[start:end], *wrong))
    return drafts


@OFTEN
@given(
    prompt=prompts,
    data=st.data(),
    most=st.sampled_from([0, 1, 3, 8, 64]),
    room=st.sampled_from([1, 2, 7, 40, 256]),
    block_tokens=st.sampled_from([3, 64]),
    max_tokens=st.integers(1, LENGTH),
    again=st.booleans(),
)
def test_drafts_change_no_token(
    loaded: LoadedModel,
    prompt: str,
    data: st.DataObject,
    most: int,
    room: int,
    block_tokens: int,
    max_tokens: int,
    again: bool,
) -> None:
    """Whatever the drafts are, wherever a pass or the text ends, and whatever ends it.

    The tokens are bytes as often as not, so drafts begin and end inside characters.
    """
    truth = greedy(loaded, prompt, LENGTH)
    drafts = data.draw(drafted(truth))
    text = loaded.tokenizer.decode(truth, skip_special_tokens=True)
    stops = [()] + [(text[at : at + 2],) for at in range(1, len(text) - 2)]
    stop = data.draw(st.sampled_from(stops))
    ends = data.draw(st.sampled_from([frozenset(), *(frozenset([t]) for t in truth)]))
    request = GenerateRequest(prompt, max_tokens, stop)
    plain = written(loaded, request, [], ends=ends)
    found = written(
        loaded,
        request,
        drafts,
        most=most,
        ends=ends,
        room=room,
        block_tokens=block_tokens,
        again=again,
    )
    assert found.text == plain.text
    assert found.cost.tokens_generated == plain.cost.tokens_generated
    assert found.cost.tokens_accepted <= found.cost.tokens_drafted
    if room == 256:
        assert (
            found.cost.forward_passes <= plain.cost.forward_passes - found.cost.tokens_accepted + 1
        )


@pytest.mark.parametrize("length", [1, 2, 7, LENGTH])
def test_a_right_draft_is_written_in_the_prompts_pass(loaded: LoadedModel, length: int) -> None:
    """Also where it ends just at `max_tokens`: the last token is drawn and never read."""
    truth = greedy(loaded, PROMPT, LENGTH)
    request = GenerateRequest(PROMPT, length, stop=())
    found = written(loaded, request, [truth])
    assert found.text == written(loaded, request, []).text
    assert (found.cost.forward_passes, found.cost.tokens_generated) == (1, length)
    assert found.cost.tokens_drafted == found.cost.tokens_accepted == length - 1


def test_a_draft_with_the_end_after_it_takes_one_pass(loaded: LoadedModel) -> None:
    truth = greedy(loaded, PROMPT, LENGTH)
    end = next(n for n in range(2, LENGTH) if truth[n] not in truth[:n])
    request = GenerateRequest(PROMPT, 64, stop=())
    found = written(loaded, request, [truth[:end]], ends=frozenset([truth[end]]))
    assert found.text == loaded.tokenizer.decode(truth[:end], skip_special_tokens=True)
    assert (found.cost.forward_passes, found.cost.tokens_generated) == (1, end)
    assert found.cost.tokens_accepted == end


def test_a_wrong_draft_costs_no_pass(loaded: LoadedModel) -> None:
    truth = greedy(loaded, PROMPT, LENGTH)
    request = GenerateRequest(PROMPT, LENGTH, stop=())
    wrong = ((truth[0] + 1) % 600, 5, 6)
    found = written(loaded, request, [wrong])
    assert found.cost.forward_passes == written(loaded, request, []).cost.forward_passes
    assert (found.cost.tokens_drafted, found.cost.tokens_accepted) == (3, 0)


# As texts, next to others


def requests_with_drafts(texts: Sequence[str]) -> list[GenerateRequest]:
    others = (" likes meat", "", " likes", " 犬 naïve")
    return [
        GenerateRequest(prompt, 6 + n, stop=(), drafts=(*others, text[: 3 + n], text))
        for n, (prompt, text) in enumerate(zip(PROMPTS, texts, strict=True))
    ]


PROMPTS = ["the dog", "naïve café", PROMPT, "", "0", "dog" * 40]


async def test_drafted_generations_side_by_side_say_what_each_says_alone(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded, token_budget=48)
    plain = [GenerateRequest(prompt, 6 + n, stop=()) for n, prompt in enumerate(PROMPTS)]
    alone = [await whole(model, request) for request in plain]
    drafted = requests_with_drafts(alone)
    warm = replace(plain[0], temperature=1.5, seed=3)
    drawn = await whole(model, warm)
    scored = await model.score([Branch("the dog", (" likes", " has a"))])
    *together, drawn_together, scored_together = await asyncio.gather(
        *(whole(model, request) for request in drafted),
        whole(model, replace(warm, drafts=tuple(alone))),
        model.score([Branch("the dog", (" likes", " has a"))]),
    )
    model.close()
    assert together == alone
    assert drawn_together == drawn, "with a temperature, drafts are not used"
    assert isinstance(scored_together, Scores)
    for a, b in zip(scored_together.logprobs[0], scored.logprobs[0], strict=True):
        assert a.total == pytest.approx(b.total, abs=1e-4)


async def test_a_model_whose_attention_cannot_be_replaced_uses_no_drafts(
    loaded: LoadedModel,
) -> None:
    model = TransformersModel(loaded)
    text = await whole(model, GenerateRequest("the dog", 9, stop=()))
    plain = MaskedForward(loaded.model, Taps(StateTap(loaded.model, loaded.keys.layer)))
    model._worker._forward, model._most_drafted = plain, 32 if plain.takes_drafts else 0
    request = GenerateRequest("the dog", 9, stop=(), drafts=(text,))
    pieces = [piece async for piece in model.generate(request)]
    model.close()
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.cost.tokens_drafted for piece in pieces) == 0


def test_drafts_go_on_where_the_prompts_own_tokens_end(loaded: LoadedModel) -> None:
    tokenizer = Tokenizer(loaded.tokenizer, loaded.context_tokens)

    def drafts(*texts: str) -> list[Path]:
        request = GenerateRequest("What does a dog", 8, drafts=texts)
        return finished(tokenizer.drafts_in_steps(request))

    prompt = tokenizer.prompt("What does a dog")
    assert drafts(" likes meat") == [
        tuple(tokenizer.prompt("What does a dog likes meat")[len(prompt) :])
    ]
    assert drafts("") == [()]
    merged = GenerateRequest("What does a do", 8, drafts=("g likes",))
    assert finished(tokenizer.drafts_in_steps(merged)) == [], "it changes the prompt's last token"
    [long] = drafts(" likes" * 10_000)
    assert 0 < len(long) < 300, "a long draft refuses no request"


def test_only_the_accepted_path_is_kept(loaded: LoadedModel) -> None:
    forward = block_forward(loaded, 64)
    tree = whole_tree([(5, 6, 7), (5, 8, 9)])
    segment = Segment.of_drafts(3, tree, 0, 1)
    forward.run([segment])
    places: Indices = np.array([0, segment.child(0, 8)])
    forward.keep(segment, places)
    drafted = forward.run([Segment.of_stream(3, [11], 2, read_last=True)]).logits
    plain = forward.run([Segment.of_stream(4, [5, 8, 11], 0, read_last=True)]).logits
    assert torch.allclose(drafted, plain, atol=1e-5)
    assert len(forward._slots[3]) == 3
    for stream in (3, 4):
        forward.forget(stream)
    assert not forward._kept._layers
