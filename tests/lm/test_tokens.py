"""Texts become tokens: cut where that changes nothing, each piece once, and only up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from server.errors import RequestTooLarge, TextTooLong
from server.lm import tokens
from server.lm.packing import common_prefix
from server.lm.pieces import pieces, traits_of
from server.lm.tokens import Tokenizer
from server.tuning.ports import Branch
from server.tuning.templates import reasoning_prompt
from tests.lm.tiny_models import CONTEXT, END, tiny_tokenizer

TOKENIZERS = {begins: tiny_tokenizer(begins=begins) for begins in (False, True)}
ALPHABET = [
    "dog",
    "likes",
    "a",
    " ",
    "  ",
    "\n",
    "'s",
    "42",
    "é",
    "e\u0301",
    "犬",
    "🐶",
    END,
    "<sep>",
    "İ",
    "_",
    "-",
    "\t",
    "x" * 30,
]


class Counting:
    """A tokenizer that notes what it is asked to tokenize."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str], **arguments: Any) -> Any:
        self.asked += texts
        return self._tokenizer(texts, **arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def counted(
    piece_characters: int = 512, context_tokens: int = CONTEXT
) -> tuple[Counting, Tokenizer]:
    counting = Counting(TOKENIZERS[False])
    tokenizer = Tokenizer(counting, context_tokens, piece_characters)  # type: ignore[arg-type]
    counting.asked.clear()
    return counting, tokenizer


@pytest.mark.parametrize("begins", [False, True])
@given(
    text=st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join), characters=st.integers(0, 9)
)
def test_the_tokens_of_pieces_are_the_texts_own(begins: bool, text: str, characters: int) -> None:
    plain = TOKENIZERS[begins]
    whole = plain([text + "."]).input_ids[0]
    assert traits_of(plain).cuts_exactly
    assert Tokenizer(plain, 1 << 20, characters).prompt(text + ".") == whole
    assert "".join(pieces(text, characters)) == text


@given(text=st.text(max_size=200))
def test_no_text_takes_fewer_tokens_than_its_bytes_need(text: str) -> None:
    longest = traits_of(TOKENIZERS[False]).longest_token_bytes
    assert longest is not None
    assert len(TOKENIZERS[False]([text]).input_ids[0]) * longest >= len(text.encode())
    Tokenizer(TOKENIZERS[False], len(TOKENIZERS[False]([text]).input_ids[0])).require_bounded(
        text, "query"
    )


@given(a=st.lists(st.integers(0, 2), max_size=30), b=st.lists(st.integers(0, 2), max_size=30))
def test_a_common_prefix_is_found_by_halves(a: list[int], b: list[int]) -> None:
    found = common_prefix(a, b)
    assert a[:found] == b[:found]
    assert found in (len(a), len(b)) or a[found] != b[found]


def backend(**parts: Any) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of single bytes, with other `parts`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = parts.pop("model", models.BPE({c: n for n, c in enumerate(alphabet)}, []))
    made = Backend(model)
    made.pre_tokenizer = parts.pop("splitter", pre_tokenizers.ByteLevel(add_prefix_space=False))
    if (normalizer := parts.pop("normalizer", None)) is not None:
        made.normalizer = normalizer
    if (added := parts.pop("added", None)) is not None:
        made.add_tokens([added])
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_a_tokenizer_that_may_join_words_or_drop_blanks_is_not_cut() -> None:
    from tokenizers import AddedToken

    unsplit = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    assert traits_of(backend()).cuts_exactly
    for other in (
        backend(splitter=unsplit),
        backend(splitter=pre_tokenizers.ByteLevel(add_prefix_space=True)),
        backend(
            splitter=pre_tokenizers.Sequence(
                [pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated"), unsplit]
            )
        ),
        backend(splitter=pre_tokenizers.Whitespace()),
        backend(normalizer=normalizers.Lowercase()),
        backend(added=AddedToken("mask", lstrip=True)),
        backend(added=AddedToken("two words")),
        backend(model=models.Unigram([("a", 0.0)], 0)),
    ):
        assert not traits_of(other).cuts_exactly
        text = "hello two words mask here  and there"
        assert Tokenizer(other, 1 << 20, 1).prompt(text) == (other([text]).input_ids[0] or [0])


def test_a_tokenizer_that_drops_something_bounds_no_bytes() -> None:
    assert traits_of(backend(splitter=pre_tokenizers.Whitespace())).longest_token_bytes is None
    assert traits_of(backend(normalizer=normalizers.StripAccents())).longest_token_bytes is None
    blanks = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    sentence_piece = backend(
        model=models.BPE({"▁": 0, "a▁": 1, "<0x00>": 2}, [], byte_fallback=True),
        normalizer=blanks,
        splitter=pre_tokenizers.Metaspace(),
    )
    assert traits_of(sentence_piece).longest_token_bytes == len("<0x00>")
    assert not traits_of(sentence_piece).cuts_exactly


# Work


def test_what_prompts_share_is_tokenized_once() -> None:
    """A long query costs the same for one triple as for sixty."""
    query = "Please tell me what a dog likes " * 1000
    asked: dict[int, int] = {}
    for triples in (1, 60):
        counting, tokenizer = counted(context_tokens=1 << 20)
        tokenizer.sequences(
            [
                Branch(reasoning_prompt(query, [f"dog likes {n}"]), (" a", " b"))
                for n in range(triples)
            ]
        )
        asked[triples] = sum(map(len, counting.asked))
        assert len(counting.asked) == len(set(counting.asked)), "each distinct piece once"
    assert asked[60] - asked[1] < 60 * 3 * 1200 < len(query) * 60 / 5


def test_what_short_prompts_have_in_common_at_the_start_is_tokenized_once() -> None:
    counting, tokenizer = counted()
    query = "What does a dog enjoy?"
    branches = [
        Branch(reasoning_prompt(query, [f"dog likes {n}"]), (" a", " b")) for n in range(60)
    ]
    tokenizer.sequences(branches)
    whole = sum(3 * len(branch.prompt) for branch in branches)
    assert sum(map(len, counting.asked)) < whole / 2


def test_a_text_far_too_long_is_read_no_further_than_the_context() -> None:
    counting, tokenizer = counted()
    text = "the quick brown dog " * 50_000
    with pytest.raises(TextTooLong) as refused:
        tokenizer.sequences([Branch("a", (text, text + "x")), Branch(text, (" a",))])
    assert refused.value.tokens > refused.value.limit == CONTEXT
    assert sum(map(len, counting.asked)) < 2 * tokens._STEP_CHARACTERS


def test_a_text_of_more_bytes_than_any_context_holds_is_not_tokenized_at_all() -> None:
    counting, tokenizer = counted()
    with pytest.raises(TextTooLong) as refused:
        tokenizer.require_bounded("a" * 1_000_000, "answer_before")
    assert refused.value.field == "answer_before"
    assert refused.value.tokens > refused.value.limit == CONTEXT
    assert counting.asked == []


def test_no_step_tokenizes_more_than_a_piece_beyond_its_size() -> None:
    counting, tokenizer = counted(context_tokens=1 << 20)
    steps = tokenizer.sequences_in_steps([Branch("dog likes a bone " * 20_000, (" a", " b"))])
    done = 0
    for _ in steps:
        assert sum(map(len, counting.asked[done:])) <= tokens._STEP_CHARACTERS + 600
        done = len(counting.asked)


def test_a_request_of_too_many_tokens_in_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REQUEST_TOKENS", 1000)
    _, tokenizer = counted()
    candidates = tuple(f" dog {n}" for n in range(1000))
    with pytest.raises(RequestTooLarge) as refused:
        tokenizer.sequences(
            [Branch("a", candidates, fields=tuple(f"candidates[{n}]" for n in range(1000)))]
        )
    assert refused.value.tokens > refused.value.limit == 1000


# Fields


@pytest.mark.parametrize(
    ("prompt", "long", "field"),
    [("dog", True, "candidates[1]"), ("dog " * 400, False, "query"), ("", True, "candidates[1]")],
)
def test_the_field_that_is_too_long_is_named(prompt: str, long: bool, field: str) -> None:
    _, tokenizer = counted()
    texts = (" a", " dog" * 400 if long else " b")
    with pytest.raises(TextTooLong) as refused:
        tokenizer.sequences([Branch(prompt, texts, fields=("candidates[0]", "candidates[1]"))])
    assert refused.value.field == field
