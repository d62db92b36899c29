"""What holds for any text, drawn at random."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.graph.concept import concept_key
from server.tuning.texts import normalized_answer, object_text, same_answer, says

answers = st.one_of(
    st.text(min_size=1),
    st.text(
        st.sampled_from("aBc 19.,;:!?-+#%$'\"“”‘’«»「」()_\u200b\u2212²½ñ京。、the my"), min_size=1
    ),
    st.lists(
        st.sampled_from(
            [
                "the",
                "The",
                "my",
                "who",
                "Who",
                "D.C.",
                "Yahoo!",
                "2.5",
                '"',
                "and",
                "because",
                "it",
                "京都。",
            ]
        ),
        min_size=1,
    ).map(" ".join),
).filter(concept_key)


@given(answers)
def test_every_text_says_itself(text: str) -> None:
    assert says(text, text)
    assert same_answer(text, text)


@given(answers)
def test_what_a_feedback_names_says_the_feedback(text: str) -> None:
    named = object_text(text)
    assert object_text(named) == named
    if any(character.isalnum() for character in text):
        assert any(character.isalnum() for character in named)
    if concept_key(named):
        assert says(named, text)


@given(answers, answers)
def test_comparing_ends_whatever_is_compared(answer: str, expected: str) -> None:
    if same_answer(answer, expected):
        assert says(answer, expected)


ordinary = st.lists(
    st.text(st.characters(categories=["Ll"]), min_size=2, max_size=8).filter(
        lambda w: w == normalized_answer(w)
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(
    ordinary,
    st.sampled_from(["{}", " {}\n", "{}.", '"{}"', "“{}”.", "‘{}.’", "«{}»", "「{}」。", "{}。"]),
)
def test_outer_blanks_quotes_and_one_final_stop_do_not_count(text: str, dressed: str) -> None:
    assert says(dressed.format(text), text)
    assert says(text, dressed.format(text))


@given(ordinary, ordinary)
def test_ordinary_words_are_equal_only_if_they_are_the_same(one: str, other: str) -> None:
    if same_answer(one, other):
        assert normalized_answer(one) in (
            normalized_answer(other),
            normalized_answer(object_text(other)),
        )
