"""Finds out at the start how a server is to be asked, and whether what it says can be used.

The check needs nothing that is known of the model. The server continues a few texts and says how
probable the likeliest next tokens are. Those tokens are then appended, and the server is asked how
probable the whole texts are: both must agree. A server whose log-probabilities belong to the token
before or after is found out that way, as one is that makes other tokens of a text.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.errors import ModelBusy, ModelUnreachable, ModelUnusable
from server.lm.packing import TokenSequence
from server.lm.remote.connection import Connection
from server.lm.remote.dialect import Asked, Dialect, Speaker
from server.lm.remote.gate import Gate
from server.lm.remote.replies import (
    Completion,
    Model,
    Models,
    RequestRefused,
    UnusableReply,
    read_reply,
)
from server.lm.remote.scoring import PATH, Scorer
from server.lm.tokens import Tokenizer
from server.tuning.ticket import Ticket

TOLERANCE = 0.25
"""How far the two log-probabilities of a token may be apart, in the median. A server that computes
in bfloat16 rounds large logits by up to 0.06, and differently for one text than for several."""

_TEXTS = ("The capital of France is", "One, two, three, four,", "Once upon a time there was a")
_CANDIDATES = 5
"""OpenAI's interface gives no more."""
_USED = 2
"""Of each text's candidates."""
_NO_ACCESS = {401, 403}
_INSTEAD = (
    "use vLLM, SGLang, llama-cpp-python's server with --logits_all true, or a proxy such as LiteLLM"
    " in front of one of them"
)

_log = logging.getLogger("kgt")


@dataclass(frozen=True, slots=True)
class _Reference:
    """A text with one more token, and that token's log-probability as the server first said it."""

    asked: Asked
    logprob: float


async def served_model(connection: Connection, name: str) -> Model:
    """The model that the server has under `name`, or its only one if that is empty.

    A server that lists no models is believed. Raises ModelUnusable.
    """
    try:
        models = read_reply(Models, await connection.get("/models")).data
    except RequestRefused as refused:
        _require_access(refused)
        models = ()
    except UnusableReply:
        models = ()
    except (ModelBusy, ModelUnreachable) as error:
        raise ModelUnusable(
            f"KGT_MODEL: the model's server does not answer: {_why(error)}; start it first, and"
            " name its address with the path, such as openai+https://HOST/v1#NAME"
        ) from None
    named = [model for model in models if model.id == name or not name]
    if len(named) == 1:
        return named[0]
    if name and not models:
        return Model(id=name)
    listed = ", ".join(model.id for model in models[:10])
    raise ModelUnusable(
        f"KGT_MODEL: name one of the server's models after #: {listed or 'it lists none'}"
    )


async def found_dialect(connection: Connection, name: str, tokenizer: Tokenizer) -> Dialect:
    """How the server is to be asked. Raises ModelUnusable, which says what the server did.

    `connection` is not to try again: many servers fail where they should refuse.
    """
    complaints: dict[str, None] = {}
    for plain in _prompts():
        speaker = Speaker(plain, name, tokenizer.tokenizer)
        try:
            references = await _references(connection, speaker, tokenizer)
        except _FAILURES as failure:
            complaints[f"a text's next token: {_why(failure)}"] = None
            continue
        for dialect in _dialects(plain):
            complaint = await _tried(
                connection, Speaker(dialect, name, tokenizer.tokenizer), references
            )
            if complaint is None:
                _log.info("the model's server is asked by %s", dialect)
                return dialect
            complaints[f"{dialect}: {complaint}"] = None
    raise ModelUnusable(
        "KGT_MODEL: the server does not say how probable a given text is, which KGT cannot do"
        f" without. It was asked in every way that is known ({'; '.join(complaints)}); {_INSTEAD}."
        " KGT_TOKENIZER must be the tokenizer of the model that is served"
    )


_FAILURES = (RequestRefused, UnusableReply, ModelUnreachable, ModelBusy)


def _prompts() -> Iterator[Dialect]:
    """How a single prompt may have to be sent, the best way first."""
    for takes_samplers in (True, False):
        for takes_tokens in (True, False):
            yield Dialect(
                takes_tokens=takes_tokens, takes_many=False, takes_samplers=takes_samplers
            )


def _dialects(plain: Dialect) -> Iterator[Dialect]:
    """The ways of asking for log-probabilities with such prompts, the cheapest first.

    A bias needs a request for each token, but a server that takes one prompt at a time is mostly
    llama-cpp-python's, where each token of an echo takes longer than such a request.
    """
    left_out = (0,) if plain.takes_tokens else (0, 1)
    for left in left_out:
        yield replace(plain, takes_many=True, left_out=left)
    yield replace(plain, way="bias")
    for left in left_out:
        yield replace(plain, left_out=left)


async def _references(
    connection: Connection, speaker: Speaker, tokenizer: Tokenizer
) -> list[_Reference]:
    """A few texts with their likeliest next tokens. Raises _FAILURES and ModelUnusable."""
    found: list[_Reference] = []
    for text in _TEXTS:
        tokens = tokenizer.prompt(text)
        body = speaker.request([speaker.prompt(text, tokens)], logprobs=_CANDIDATES)
        try:
            reply = read_reply(Completion, await connection.post(PATH, body))
        except RequestRefused as refused:
            _require_access(refused)
            raise
        logprobs = reply.in_order(1)[0].logprobs
        candidates = logprobs.top_logprobs if logprobs is not None else None
        if not candidates or not candidates[0]:
            raise UnusableReply("it has no log-probabilities")
        usable = []
        for said, logprob in candidates[0].items():
            whole = tokenizer.prompt(text + said)
            if whole[:-1] == tokens:
                sequence = TokenSequence(tuple(whole), len(tokens))
                usable.append(_Reference(Asked(text + said, sequence), logprob))
        found += sorted(usable, key=lambda one: -one.logprob)[:_USED]
    if not found:
        raise UnusableReply("its tokens are not those of the tokenizer here")
    return found


async def _tried(
    connection: Connection, speaker: Speaker, references: list[_Reference]
) -> str | None:
    """What is wrong with what the server says in this dialect; None if it can be used."""
    scorer = Scorer(connection, Gate(1, 1), speaker)
    try:
        found = await scorer.score([one.asked for one in references], Ticket(number=0))
    except _FAILURES as failure:
        return _why(failure)
    pairs = zip(found.totals, references, strict=True)
    apart = statistics.median(abs(total - one.logprob) for total, one in pairs)
    if apart > TOLERANCE:
        return f"the log-probabilities belong to other tokens, they are {apart:.1f} off"
    return None


def _why(failure: Exception) -> str:
    """A failure in a few words, without anything of a text."""
    return failure.why if isinstance(failure, ModelUnreachable) else str(failure)


def _require_access(refused: RequestRefused) -> None:
    """Raise ModelUnusable if the server refuses everything."""
    if refused.status in _NO_ACCESS:
        raise ModelUnusable(
            f"KGT_MODEL: the server refuses the key ({refused}); set KGT_MODEL_KEY"
        ) from None
