import pytest

from server.tuning.texts import object_text, says


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("vegetables", "vegetables"),
        (" Vegetables.", "vegetables"),
        ("The vegetables, of course", "vegetables"),
        ("a dog", "The Dog!"),
        ("Dr. Lee", "dr lee"),
        ("蔬菜和水果", "蔬菜"),
        ("14", "14"),
        ("the", "the"),
        ("<3", "<3"),
    ],
)
def test_an_answer_says_what_it_starts_with(answer: str, expected: str) -> None:
    assert says(answer, expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("fishing", "fish"),
        ("140", "14"),
        ("no vegetables", "vegetables"),
        ("", "vegetables"),
        ("vegetables", ""),
        ("meat", "vegetables"),
        ("!", "?"),
    ],
)
def test_anything_else_is_another_answer(answer: str, expected: str) -> None:
    assert not says(answer, expected)


@pytest.mark.parametrize(
    ("answer", "object"),
    [("the vegetables.", "vegetables"), ('"Dr. Lee"', "Dr. Lee"), ("  a  cat ", "cat"), ("...", "...")],
)
def test_the_object_is_the_answer_without_trimmings(answer: str, object: str) -> None:
    assert object_text(answer) == object
