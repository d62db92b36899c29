"""Which answers say what was expected, and which say something else."""

from __future__ import annotations

import pytest

from server.tuning.texts import same_answer, says


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("vegetables", "vegetables"),
        (" Vegetables.", "vegetables"),
        ("The vegetables, of course", "vegetables"),
        ("a dog", "The Dog!"),
        ("Dr. Lee", "dr lee"),
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
        ("蔬菜和水果", "蔬菜"),
    ],
)
def test_anything_else_is_another_answer(answer: str, expected: str) -> None:
    assert not says(answer, expected)


OTHERS = [
    # Signs and marks at a word
    ("C", "C++"),
    ("C", "C#"),
    ("C#", "C"),
    ("C++", "C#"),
    ("F", "F#"),
    (".NET", "NET"),
    ("AB-123", "AB 123"),
    ("AB-123", "AB123"),
    ("@home", "home"),
    ("AT&T", "AT T"),
    ("AC/DC", "AC DC"),
    ("e-mail", "email"),
    ("and/or", "and"),
    # Figures, prices, measures
    ("2.5", "2"),
    ("2.5", "25"),
    ("2,5", "2"),
    ("1,000", "1"),
    ("1,000", "1.000"),
    (".5", "5"),
    ("50%", "50"),
    ("50", "50%"),
    ("$5", "5"),
    ("$5", "€5"),
    ("$5", "£5"),
    ("5 USD", "5 EUR"),
    ("$5.00", "$5"),
    ("+1", "1"),
    ("±1", "1"),
    ("~5", "5"),
    ("10²", "102"),
    ("10²", "10"),
    ("2½", "21/2"),
    ("2½", "2"),
    ("1/2", "1"),
    ("5'", '5"'),
    ("6'2\"", "6'"),
    ("№5", "5"),
    ("#1", "1"),
    # Temperatures
    ("18 degrees", "-18 degrees"),
    ("-18 degrees", "18 degrees"),
    ("18 degrees", "\u221218 degrees"),
    ("18°", "18"),
    ("18°C", "18°F"),
    ("18.5 °C", "18 °C"),
    # Versions, codes
    ("v1.2", "v1.20"),
    ("v1.2", "v1"),
    ("1.2.3", "1.2"),
    ("3.11", "3.1"),
    ("Python 3", "Python"),
    ("Python 3.12", "Python 3"),
    ("hunter2;", "hunter2"),
    ("hunter2", "hunter2;"),
    ("hunter2!", "hunter2"),
    ("p@ss", "pass"),
    ("A-1", "A1"),
    ("ISO-8859-1", "ISO-8859-15"),
    ("192.168.0.1", "192.168.0.10"),
    ("foo.py", "foo"),
    ("a@example.com", "a"),
    # Times and dates
    ("10:30", "10"),
    ("10:30", "10.30"),
    ("10:30", "10:30:15"),
    ("10:30 pm", "10:30"),
    ("10-12", "10"),
    ("2024-05-06", "2024"),
    ("5/6", "5"),
    ("5/6", "6/5"),
    ("5 May", "5"),
    ("June 5, 1990", "June 5"),
    ("May 1990", "May"),
    # Sports results
    ("3-2", "3-1"),
    ("3-2", "3"),
    ("3:2", "3:1"),
    ("6-4, 6-3", "6-4"),
    ("Arsenal 2, Chelsea 1", "Arsenal 2"),
    # Names and titles
    ("Porto Alegre", "Porto"),
    ("Porto, Portugal", "Porto"),
    ("Paris, Texas", "Paris"),
    ("Porto (Brazil)", "Porto"),
    ("New York City", "New York"),
    ("York", "New York"),
    ("Dr. Lee", "Dr"),
    ("Dr. Lee", "Dr."),
    ("St. Louis", "St."),
    ("No. 5", "No"),
    ("J. K. Rowling", "J."),
    ("U.S. Steel", "U.S."),
    ("2. Bundesliga", "2"),
    ("Robert Downey, Jr.", "Robert Downey"),
    ("Alien: Covenant", "Alien"),
    ("Blade Runner: 2049", "Blade Runner"),
    ("Star Wars: A New Hope", "Star Wars"),
    ("star wars: a new hope", "star wars"),
    ("Yes, Minister", "Yes"),
    ("O Brother, Where Art Thou?", "O Brother"),
    ("Panic! at the Disco", "Panic"),
    ("Yahoo! Japan", "Yahoo"),
    ("Yahoo", "Yahoo!"),
    ("Yahoo!", "Yahoo"),
    ("Mamma Mia", "Mamma Mia!"),
    ("Who", "The Who"),
    ("1975", "The 1975"),
    ("Chemical Romance", "My Chemical Romance"),
    ("Henry V", "Henry VI"),
    ("Rocky II", "Rocky"),
    # Words and lists
    ("red wine", "red"),
    ("red, white and blue", "red"),
    ("red and white", "red"),
    ("carrots, peas", "carrots"),
    ("Noor, Emil and Tove", "Noor"),
    ("Noor, Emil and Tove", "Noor and Emil"),
    ("Noor and Emil", "Noor"),
    ("Noor, and Emil", "Noor"),
    ("Noor; Emil; Tove", "Noor"),
    ("Noor\nEmil\nTove", "Noor"),
    ("a dog, a cat and a bird", "a dog"),
    ("the dog that bit me", "the dog"),
    ("not red", "red"),
    ("tea without milk", "tea"),
    ("tea, then coffee", "tea"),
    ("her garden", "his garden"),
    ("my garden", "garden"),
    ("well-being", "well"),
    ("love-it", "love"),
    # Other scripts
    ("北京大学", "北京"),
    ("京都府", "京都"),
    ("緑茶と紅茶", "緑茶"),
    ("苹果、梨", "苹果"),
    ("Порту-Алегри", "Порту"),
    ("красное вино", "красное"),
    ("نبيذ أحمر", "نبيذ"),
    ("ชาเขียว", "ชา"),
    ("서울대학교", "서울"),
    ("−5 °C", "5 °C"),
    ("Ｃ＋＋", "C"),
]


@pytest.mark.parametrize(("answer", "expected"), OTHERS)
def test_what_differs_in_a_sign_or_a_word_is_another_answer(answer: str, expected: str) -> None:
    assert not says(answer, expected)


SAME = [
    ("Vegetables.", "vegetables"),
    ("the kennel", "kennel"),
    ("-18 degrees.", "-18 degrees"),
    ("\u221218 degrees", "-18 degrees"),
    ('"vegetables"', "vegetables"),
    ("\u201cvegetables.\u201d", "vegetables"),
    ("'vegetables'.", "vegetables"),
    ("\u00abовощи\u00bb", "овощи"),
    ("\u201evegetables\u201c", "vegetables"),
    ("「緑茶」", "緑茶"),
    ("『緑茶』。", "緑茶"),
    ("VEGETABLES", "vegetables"),
    ("vegetables!", "vegetables"),
    ("vegetables", "vegetables!"),
    ("Vegetables", "vegetables;"),
    ("garden", "my garden"),
    ("c++", "C++."),
    ("Ｃ＋＋", "C++"),
    ("２．５", "2.5"),
    ("2.5.", "2.5"),
    ("3\u20132", "3-2"),
    ("10\u201312", "10-12"),
    ("O\u2019Hara", "O'Hara"),
    ("rock \u2018n\u2019 roll", "rock 'n' roll"),
    ("Zo\u200bra", "Zora"),
    ("Café", "Cafe\u0301"),
    ("Straße", "STRASSE"),
    ("St Louis", "St. Louis"),
    ("Washington, D.C", "Washington, D.C."),
    ("U.S.A.", "u.s.a."),
    ("the who", "The Who"),
    ("the  kennel", "kennel"),
    ("緑茶。", "緑茶"),
    ("緑茶です。", "緑茶"),
    ("녹차입니다.", "녹차"),
    ("أخضر۔", "أخضر"),
    ("चाय।", "चाय"),
    ("My Chemical Romance", "My Chemical Romance"),
    ("5\u2032", "5'"),
    ("18℃", "18°C"),
]


@pytest.mark.parametrize(("answer", "expected"), SAME)
def test_case_outer_quotes_a_final_stop_and_an_article_make_no_other_answer(
    answer: str, expected: str
) -> None:
    assert same_answer(answer, expected) or says(answer, expected)


CLAUSES = [
    ("vegetables, because they are healthy", "vegetables"),
    ("vegetables because they are healthy", "vegetables"),
    ("Vegetables. They are healthy.", "vegetables"),
    ("vegetables; dogs love them", "vegetables"),
    ("vegetables: they are healthy", "vegetables"),
    ("vegetables, not meat", "vegetables"),
    ("vegetables, which are healthy", "vegetables"),
    ("vegetables, and it likes them", "vegetables"),
    ("vegetables and he loves them", "vegetables"),
    ("vegetables, of course", "vegetables"),
    ("vegetables \u2014 they are healthy", "vegetables"),
    ("vegetables - they are healthy", "vegetables"),
    ("vegetables (they are healthy)", "vegetables"),
    ("vegetables... they are healthy", "vegetables"),
    ("vegetables\n\nThey are healthy", "vegetables"),
    ("vegetables since they are healthy", "vegetables"),
    ("vegetables, I think", "vegetables"),
    ('"vegetables", because they are healthy', "vegetables"),
    ("the kennel, where it sleeps", "kennel"),
    ("Paris, the capital of France", "Paris"),
    ("C++, because it is fast", "C++"),
    ("-18 degrees, as it should be", "-18 degrees"),
    ("Porto. He moved there in May.", "Porto"),
    ("No. It is not.", "no"),
    ("14. He had a birthday.", "14"),
    ("Washington, D.C., because he was born there", "Washington, D.C."),
    ("Washington, D.C. He was born there.", "Washington, D.C."),
    ("2.5. It was enough.", "2.5"),
    ("Noor and Emil, because I said so", "Noor and Emil"),
    ("蔬菜，因为它们很健康", "蔬菜"),
    ("蔬菜。它们很健康。", "蔬菜"),
    ("緑茶です。体にいいから。", "緑茶"),
    ("Gemüse, weil es gesund ist", "Gemüse"),
    ("овощи, потому что они полезны", "овощи"),
]


@pytest.mark.parametrize(("answer", "expected"), CLAUSES)
def test_an_answer_may_go_on_where_a_new_clause_opens(answer: str, expected: str) -> None:
    assert says(answer, expected)
    assert not same_answer(answer, expected)


def test_an_answer_that_is_another_value_whole_says_that_one() -> None:
    answer = "tea, which is cold"
    assert says(answer, "tea")
    assert not says(answer, "tea", ["coffee", "Tea, which is cold."])
    assert says("tea", "tea", ["tea", "coffee"])
