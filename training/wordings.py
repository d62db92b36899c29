"""How a question is worded: forms with slots, determiners, plurals, and how people type."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_GREETINGS = ("Hey, ", "Hi! ", "Please tell me: ", "Quick question: ", "Hello. ", "So, ")
_QUESTION_STARTS = ("what", "where", "how", "which", "who", "when", "in ")


def fill(form: str, subject: str, said: str) -> str:
    """Put a subject into a form.

    {S} is the subject as it is said, with a determiner; {s} is the bare subject, and {ing} the
    gerund of an action.
    """
    form = form.replace("{S}", said).replace("{s}", subject).replace("{ing}", _gerund(subject))
    if form[:1].islower() and not form.startswith(_QUESTION_STARTS):
        return form[0].upper() + form[1:]
    return form


def starts_with_verb(head: str, verbs: frozenset[str]) -> bool:
    """Whether `head` names an action."""
    return head.split()[0] in verbs


def with_determiner(head: str, rng: random.Random) -> str:
    """`head` with one of the determiners that people use, or with none."""
    article = "a" if head[0] not in "aeiou" else "an"
    return rng.choice((f"{article} {head}", f"the {head}", f"my {head}", head, f"our {head}"))


def maybe_plural(form: str, head: str, said: str, rng: random.Random) -> str:
    """Fill `form`, now and then with a plural where that is easy."""
    if re.fullmatch(r"[a-z]{3,}[^sxyh]", head) and rng.random() < 0.2:
        changed = re.sub(r"\bdoes \{S\}", "do {S}", form)
        changed = re.sub(r"\bis \{S\}", "are {S}", changed)
        if changed != form:
            return fill(changed, head, f"{head}s")
    return fill(form, head, said)


def restyled(query: str, rng: random.Random) -> str:
    """`query` as people type: some in lower case, without a question mark, or with polite words."""
    draw = rng.random()
    if draw < 0.06:
        return query.lower()
    if draw < 0.12:
        return query.rstrip("?.")
    if draw < 0.16:
        return rng.choice(_GREETINGS) + query
    if draw < 0.18:
        return query.rstrip("?.") + ", please?"
    return query


def two_of(forms: Sequence[str], rng: random.Random) -> tuple[str, str]:
    """Two different forms; the same one twice if there is only one."""
    if len(forms) == 1:
        return forms[0], forms[0]
    first, second = rng.sample(forms, 2)
    return first, second


def _gerund(phrase: str) -> str:
    verb, _, rest = phrase.partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1] + "ing"
    elif re.fullmatch(r"[^aeiou]*[aeiou][bdgmnprt]", verb):
        verb = verb + verb[-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".strip()
