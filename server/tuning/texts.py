"""Whether an answer says what was expected, and which concept a feedback names.

Two answers are the same if they differ only in case, outer blanks and quotes, a final stop, or a
leading article. Signs count: "C" is not "C++", "2.5" is not "2", "AB-123" is not "AB 123". So do
further words: "Porto Alegre" is not "Porto", nor is "Porto, Portugal", just as "Paris, Texas" is
not "Paris". Different forms of one sign do not count, as in keys (server.graph.concept): a minus
may be U+2212.

An answer may go on after what it says, if a new clause opens there: "vegetables, because they are
healthy".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from server.graph.concept import ARTICLES, concept_key, one_form, strip_determiners

_QUOTED = re.compile(
    '["“”„‟]([^"“”„‟]+)["“”„‟]'
    "|['‘’‚‛]((?:[^'‘’‚‛]|(?<=\\w)['’](?=\\w))+)['‘’‚‛]"  # with the apostrophes of its words
    "|«([^«»]+)»|»([^«»]+)«|‹([^‹›]+)›|「([^「」]+)」|『([^『』]+)』|《([^《》]+)》|〈([^〈〉]+)〉"
)
_STOPS = ".。．｡।۔።։။"
_MARKS = "!?;:,！？；：，、،؛؟"
"""Marks that may end a sentence or a name: "vegetables!", "Yahoo!"."""
_RAISED = re.compile("(?<=\\d)([⁰¹²³⁴-⁹]+)")
_FRACTION = re.compile("(?<=\\d)([¼-¾⅐-⅞↉])")
_ABBREVIATION_STOP = re.compile(r"(?<=\w)\.(?=\s)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABBREVIATIONS = _words(
    """
    adm ave blvd bros capt cie co col corp cpl dept dr est ft gen gov hon inc jr lt ltd maj messrs
    mlle mme mr mrs ms mt mts nr pres prof rd rep rev sen sgt sr st ste univ vs
    """
)
_NUMBERED = _words("ch fig no nr op p pp vol")
"""Abbreviations only before a figure: "No. 5"."""

_PRONOUNS = _words("he i it she that there these they this those we you")
_CAUSES = _words(
    """
    although because since though
    çünkü denn eftersom fordi omdat parce perché poiché porque puisque weil
    क्योंकि لأن поскольку потому
    """
)
"""Words that open a clause without a comma before them."""
_JOINED_CAUSES = ("因为", "因為", "由于", "由於", "なぜなら", "というのも", "왜냐하면")
_OPENERS = _PRONOUNS | _words(
    """
    according especially however including instead not rather such thanks where whereas which while
    who whom whose
    """
)
"""Words that open a clause after a comma, a dash or a bracket.

Articles do so too, unless a list goes on.
"""
_OPENING_PAIRS = {
    ("of", "course"),
    ("in", "fact"),
    ("in", "general"),
    ("in", "other"),
    ("for", "example"),
    ("to", "be"),
}
_COORDINATORS = _words("and but or so yet")
_ADVERBS = _words(
    "actually certainly definitely indeed mainly mostly obviously please probably too usually"
)
_LIST_GOES_ON = re.compile(
    r"[,;、،]|\b(?:and|or) (?:an?|the|my|your|his|her|its|our|their)\b", re.IGNORECASE
)
_COPULA = re.compile("(?:です|でした|である|입니다|이에요|예요|ครับ|ค่ะ|คะ)$")
"""Endings that make a sentence of a word without a blank between them: 緑茶です."""

_BOUNDARY = re.compile(
    r"(?P<mark>(?:\.\.\.|[.,;:!?])(?=\s|[^\x00-\x7f])|[。、।۔።။،؛؟]|\s[-–(](?=\s|\w)|\s?—)\s*|\s+"
    r"|(?=" + "|".join(_JOINED_CAUSES) + ")"
)
_MAX_TRIMMINGS = 48
"""How many characters a clause may have more or less than the expected answer.

They are its quotes, articles and copula.
"""


def normalized_answer(text: str) -> str:
    """`text` in the form in which answers are compared."""
    text = _one_form(text)
    text = _unquoted(_without_stop(_unquoted(text)))
    words = _ABBREVIATION_STOP.sub("", text).split()
    start = 0
    while start < len(words) - 1 and words[start].casefold() in ARTICLES:
        start += 1
    return concept_key(" ".join(words[start:]))


def same_answer(answer: str, expected: str) -> bool:
    """Whether the whole of `answer` is what was expected.

    That is more than equality by `normalized_answer`. A name keeps its article ("Who" is not "The
    Who") and its final mark ("Yahoo" is not "Yahoo!"). The `object_text` of the feedback is the
    feedback.
    """
    given, wanted = normalized_answer(answer), normalized_answer(expected)
    if not wanted:
        return False
    if given == wanted:
        return not _lacks_article(answer, expected)
    if given == normalized_answer(object_text(expected)):
        return True
    bare = wanted.rstrip(_MARKS)
    return bool(bare) and given.rstrip(_MARKS) == bare and _is_plain(expected, bare)


def says(answer: str, expected: str, others: Collection[str] = ()) -> bool:
    """Whether `answer`, or all of it up to a new clause, is what was expected.

    `others` are other known values. An answer that as a whole is one of them says that one.
    """
    if _is_said(answer, expected):
        return True
    if not any(_is_said(head, expected) for head in _clauses(answer, expected)):
        return False
    return not any(same_answer(answer, other) for other in others)


def _is_said(answer: str, expected: str) -> bool:
    return same_answer(answer, expected) or _same_with_copula(answer, expected)


def object_text(answer: str) -> str:
    """The text of the concept that a feedback names, if the caller names none.

    It is the answer without outer quotes, a final stop, and articles or possessives before a small
    letter. Names keep theirs: "The Who", "D.C.", "Yahoo!".
    """
    text, trimmed = "", answer.strip()
    while trimmed != text:
        text = trimmed
        trimmed = strip_determiners(_without_final_mark(_unquoted(text)))
    return text


# Trimming


def _one_form(text: str) -> str:
    """`text` with one form for each sign, as in keys, but in its own case.

    Raised figures and fractions stay apart from the figures before them.
    """
    apart = _FRACTION.sub(r" \1", _RAISED.sub(r"^\1", text))
    return one_form(apart.replace("\u2012", "-").replace("\u2013", "-"))


def _unquoted(text: str) -> str:
    """`text` without the quotes around the whole of it."""
    while found := _QUOTED.fullmatch(text):
        inner = next(group for group in found.groups() if group is not None).strip()
        if not inner:
            break
        text = inner
    return text


def _without_stop(text: str) -> str:
    """`text` without a final stop. An ellipsis stays, and so does a stop that is all there is."""
    bare = text[:-1].rstrip()
    has_stop = bool(bare) and text[-1] in _STOPS and bare[-1] not in _STOPS
    return bare if has_stop else text


def _without_final_mark(text: str) -> str:
    """`text` without the mark that ends a sentence; a name keeps one that may be its own."""
    bare = text[:-1].rstrip()
    if not any(character.isalnum() for character in bare):
        return text
    last = bare.split()[-1]
    if text[-1] in _STOPS:
        return text if text[-1] == "." and _keeps_stop(last) else bare
    if text[-1] in ",，、،":
        return bare if " " in bare or last.isalpha() else text
    if text[-1] in "!;！；؛":
        return text if last == bare or bare[0].isupper() else bare
    return text


def _keeps_stop(word: str) -> bool:
    """Whether a final stop belongs to the word before it: "D.C.", "J.", "St."."""
    if word[-1].isdigit():
        return False
    return (
        "." in word
        or (len(word) == 1 and word.isalpha())
        or (word[0].isupper() and word.casefold() in _ABBREVIATIONS)
    )


def _lacks_article(answer: str, expected: str) -> bool:
    """Whether `expected` is a name with an article that `answer` leaves out."""
    name = _one_form(object_text(expected)).split()
    if len(name) < 2 or name[0].casefold() not in ARTICLES or not name[0][0].isupper():
        return False
    if not (name[1][0].isupper() or name[1][0].isdigit()):
        return False
    given = _unquoted(_one_form(answer)).split()
    return not given or given[0].casefold() not in ARTICLES


def _is_plain(text: str, bare: str) -> bool:
    """Whether `text` consists of ordinary words, so that its final mark is not part of a name.

    `bare` is `text` without its final marks.
    """
    words = _one_form(text).split()
    begins_with_article = len(words) > 1 and words[0].casefold() in ARTICLES
    is_ordinary = begins_with_article or not any(word[0].isupper() for word in words)
    return is_ordinary and all(character.isalpha() or character in " '-" for character in bare)


# Clauses


def _same_with_copula(answer: str, expected: str) -> bool:
    sentence = _without_stop(_unquoted(_one_form(answer)))
    word = _COPULA.sub("", sentence)
    return word != sentence and same_answer(word, expected)


def _clauses(answer: str, expected: str) -> Iterator[str]:
    """The beginnings of `answer`, up to each place where a new clause opens.

    Only places near the length of `expected` count.
    """
    text = _one_form(re.sub(r"\s*[\r\n]+\s*", "; ", answer.strip()))
    length = len(_one_form(expected))
    first, last = max(0, length - _MAX_TRIMMINGS), length + _MAX_TRIMMINGS
    for found in _BOUNDARY.finditer(text, first, last):
        head, rest = text[: found.start()], text[found.end() :]
        if head and rest and _opens_clause(head, (found["mark"] or "").strip(), rest):
            yield head


def _opens_clause(head: str, mark: str, rest: str) -> bool:
    """Whether `rest` is a clause of its own, rather than more of the value that `head` begins."""
    # A cause or a sentence's end opens one by itself.
    if rest.startswith(_JOINED_CAUSES):
        return True
    if mark in (".", "..."):
        return not _is_shortened(head.split()[-1], rest)
    if mark and not mark.isascii() and mark in _STOPS + "؟":
        return True
    if mark in ("!", "?") and not rest[0].isascii():
        return True

    # A capital goes on with a title: "Alien: Covenant", "Yes, Minister".
    words = _first_words(rest)
    if mark not in ("!", "?", ";") and rest[0].isupper() and words[0].partition("'")[0] != "i":
        return False

    # Otherwise its first words decide, and after a semicolon or a colon its length.
    if _opens_with(words, mark):
        return True
    if mark in (",", "-", "—", "(") and words[0] in ARTICLES:
        return head.split()[0].casefold() not in ARTICLES and not _LIST_GOES_ON.search(rest)
    if mark in (";", ":"):
        is_title = mark == ":" and words[0] in ARTICLES
        return not is_title and len(re.split("[;,.]", rest)[0].split()) >= 3
    return False


def _first_words(text: str) -> list[str]:
    """The first four words of `text`, in small letters and without the marks around them."""
    return [word.strip("\"'().,;:!?،").casefold() for word in text.split(maxsplit=4)[:4]]


def _opens_with(words: list[str], mark: str) -> bool:
    """Whether these words open a clause after `mark`, or after a blank if `mark` is empty."""
    first, second = words[0], words[1] if len(words) > 1 else ""
    subject, second_subject = first.partition("'")[0], second.partition("'")[0]
    if first in _CAUSES or (first in ("as", "for") and second_subject in _PRONOUNS):
        return True
    if first in _COORDINATORS:
        has_subject = second_subject in _PRONOUNS and (len(words) > 2 or "'" in second)
        return has_subject or (bool(mark) and first == "but" and second == "not")
    if not mark:
        return False
    if subject in _PRONOUNS:
        return "'" in first or (bool(second) and second not in _COORDINATORS)
    if first in _ADVERBS and not second:
        return True
    return first in _OPENERS or (first, second) in _OPENING_PAIRS


def _is_shortened(word: str, rest: str) -> bool:
    """Whether `word` is an abbreviation, so that the stop after it does not end a sentence.

    It is in "Dr. Lee", "No. 5" and "J. K.".
    """
    bare = word.casefold().strip("\"'(")
    # "2. Bundesliga", "U.S. Steel", but "D.C. He was born there."
    if bare[-1:].isdigit() or "." in bare:
        return not _opens_with(_first_words(rest), ".")
    if bare in _NUMBERED and rest[0].isdigit():
        return True
    is_initial = len(bare) == 1 and bare.isascii() and bare.isalpha()
    return is_initial or bare in _ABBREVIATIONS
