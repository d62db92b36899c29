"""Cuts texts into pieces that can be tokenized one by one, and tells how long tokens are.

A byte-level BPE tokenizer first splits a text into words by a regular expression, and then each
word into tokens, so a cut between two words changes no token. Which tokenizers work like this is
read from their own description. For all others a text is one piece, which is slower but never
wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

PIECE_CHARACTERS = 512
_FIRST_CHARACTERS = 32
"""The least length of the pieces at a text's beginning. A request's texts have long beginnings in
common, which are tokenized once only where they are whole pieces."""

_CUT = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z])", re.ASCII)
"""A place between two words for each of the expressions below: none of them matches across a blank
that follows a letter or a digit."""

_WORDS = frozenset(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
    + digits
    + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in (
        r"\p{N}{1,3}",  # GPT-4 and Llama 3
        r"\p{N}",  # Qwen 2 and 3
    )
)

_COMPOSING = 4
"""NFC shortens a text to a quarter of its bytes at most: three Hangul letters, or a letter and its
accents, become one."""


def pieces(text: str, characters: int | None) -> Iterator[str]:
    """Cut `text` where that changes no token, into pieces of at least `characters`.

    The pieces that start within the first `characters` may be shorter. With None, the whole text is
    one piece.
    """
    start = 0
    while characters is not None:
        least = characters if start >= characters else min(characters, _FIRST_CHARACTERS)
        if (cut := _CUT.search(text, start + max(1, least))) is None:
            break
        yield text[start : cut.start()]
        start = cut.start()
    yield text[start:]


@dataclass(frozen=True, slots=True)
class TokenizerTraits:
    """What is certain about a tokenizer.

    `cuts_exactly`: its tokens never reach across a cut. `longest_token_bytes`: a token stands for
    at most so many bytes of a text. False and None where nothing is certain.
    """

    cuts_exactly: bool = False
    longest_token_bytes: int | None = None


def traits_of(tokenizer: PreTrainedTokenizerBase) -> TokenizerTraits:
    """Read the traits from a tokenizer's description of itself."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "BPE":
        return TokenizerTraits()
    try:
        normalizers, splitters = _stages(backend.normalizer), _stages(backend.pre_tokenizer)
    except (TypeError, ValueError, AttributeError):
        # Parts that are written in Python have no description
        return TokenizerTraits()
    byte_level = _is_byte_level(normalizers, splitters)
    if not byte_level and not (
        backend.model.byte_fallback and _is_sentence_piece(normalizers, splitters)
    ):
        return TokenizerTraits()
    longest = max((len(token.encode()) for token in tokenizer.get_vocab()), default=1)
    composing = _COMPOSING if any(stage["type"] == "NFC" for stage in normalizers) else 1
    exact = (
        byte_level
        and backend.model.dropout is None
        and _splits_words(splitters)
        and not any(_reaches_out(added) for added in tokenizer.added_tokens_decoder.values())
    )
    return TokenizerTraits(exact, longest * composing)


def _stages(part: Any) -> list[dict[str, Any]]:
    """The stages that a normalizer or pre-tokenizer describes."""
    if part is None:
        return []
    described = json.loads(part.__getstate__())
    if described["type"] != "Sequence":
        return [described]
    return list(described.get("pretokenizers") or described.get("normalizers") or [])


def _is_byte_level(normalizers: list[dict[str, Any]], splitters: list[dict[str, Any]]) -> bool:
    """Whether each byte of the text, composed if NFC is a stage, ends up in a token."""
    return (
        all(stage["type"] == "NFC" for stage in normalizers)
        and any(stage["type"] == "ByteLevel" for stage in splitters)
        and all(stage["type"] in ("ByteLevel", "Digits", "Split") for stage in splitters)
        and all(stage.get("behavior", "Isolated") == "Isolated" for stage in splitters)
    )


def _is_sentence_piece(normalizers: list[dict[str, Any]], splitters: list[dict[str, Any]]) -> bool:
    """Whether blanks become a mark and nothing else in a text is changed."""
    kept = all(
        stage["type"] == "Prepend"
        or (stage["type"] == "Replace" and stage["pattern"] == {"String": " "})
        for stage in normalizers
    )
    return kept and all(stage["type"] == "Metaspace" for stage in splitters)


def _splits_words(splitters: list[dict[str, Any]]) -> bool:
    """Whether one stage splits at every cut, and none adds anything to a piece."""
    adds = any(stage["type"] == "ByteLevel" and stage["add_prefix_space"] for stage in splitters)
    splits = any(
        (stage["type"] == "ByteLevel" and stage["use_regex"])
        or (stage["type"] == "Split" and stage["pattern"].get("Regex") in _WORDS)
        for stage in splitters
    )
    return splits and not adds


def _reaches_out(added: Any) -> bool:
    """Whether an added token takes blanks with it, or depends on what is next to it."""
    return bool(
        added.lstrip or added.rstrip or added.single_word or any(c.isspace() for c in added.content)
    )
