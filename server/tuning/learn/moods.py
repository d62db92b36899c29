"""Which sentences do not state anything of the user's own, by their words."""

from __future__ import annotations

import re

from server.graph.concept import concept_key
from server.tuning.subject.english import COMMANDS, FIRST_PERSON, ORDERS
from server.tuning.subject.words import all_words

_SUPPOSED = re.compile(
    r"^(?:so |and |but |well,? )?(?:if|suppose|supposing|imagine|assume|assuming|let's say|what if"
    r"|say (?:somebody|someone)|were i)\b|\b(?:could|might|would) be\b"
    r"|\b(?:would|could|\w+'d)\b.* if "
)
_HEARD = re.compile(
    r"^(?!(?:i|we)\b)(?:\S+ ){1,6}?(?:says?|said|thinks?|thought|claims?|claimed|believes?"
    r"|believed|argues?|argued|swears? by|keeps? (?:saying|telling))\b|\baccording to\b"
)
_TOLD_OF = re.compile(
    r"\bin (?:the|a|this) (?:film|movie|book|novel|story|series|play|song|game)\b"
)
_QUOTED = re.compile(r'"[^"]*\w+ \w+ \w+[^"]*"')


def may_state(sentence: str) -> bool:
    """Whether a sentence may state a fact of the user's.

    An order, a supposition, what somebody else says, a quotation, a story and a question without a
    word of the first person do not.
    """
    key = concept_key(sentence)
    words = [word.key for word in all_words(sentence)]
    if key.endswith("?") and FIRST_PERSON.isdisjoint(words):
        return False
    polite = words[1:] if words[:1] == ["please"] else words
    if polite and polite[0] in (ORDERS | COMMANDS) - {"call"}:
        return False
    return not any(pattern.search(key) for pattern in (_SUPPOSED, _HEARD, _TOLD_OF, _QUOTED))
