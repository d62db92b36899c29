"""A chat with a memory: any OpenAI-compatible endpoint answers, and KGT remembers.

    python examples/chat_with_memory.py -u alice --base-url http://127.0.0.1:8080/v1 --model NAME

Retrieve finds what is known that fits, before each answer. Learn keeps what a message tells, after
it. The endpoint gets the conversation and the facts that fit, and nothing else of the memory. Its
key is OPENAI_API_KEY: what stands on a command line, others on the machine can read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

from kgt.client import Client, access_in
from kgt.errors import CallError
from kgt.v1 import personalization_pb2 as pb

INSTRUCTIONS = (
    "You talk with somebody whom you know. Where the facts below bear on what they say, go by the"
    " facts and not by your own assumptions."
)


class Chat:
    """One user's conversation."""

    def __init__(self, memory: Client, endpoint: OpenAI, model: str, user: str) -> None:
        self._memory = memory
        self._endpoint = endpoint
        self._model = model
        self._user = user
        # Without the facts: what is undone or forgotten must not stay in the conversation.
        self._said: list[ChatCompletionMessageParam] = []

    def reply(self, text: str) -> str:
        """The endpoint's answer to `text`, with what the memory has on it. Raises OpenAIError."""
        known = self._memory.retrieve(user=self._user, query=text).context
        asked: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": f"{INSTRUCTIONS}\n\n{known}".strip()},
            *self._said,
            {"role": "user", "content": text},
        ]
        done = self._endpoint.chat.completions.create(model=self._model, messages=asked)
        answer = done.choices[0].message.content or ""
        self._said += [asked[-1], {"role": "assistant", "content": answer}]
        return answer

    def remember(self, text: str, context: str) -> list[str]:
        """Learn from `text`, which followed `context`. Returns the new facts in words."""
        learned = self._memory.learn(user=self._user, text=text, context=context or None)
        return [fact.words for fact in learned.facts if fact.fate == pb.FATE_LEARNED]


def talk(chat: Chat) -> None:
    """Answer each line, and remember what it tells. Raises CallError and OpenAIError."""
    context = ""
    for text in lines():
        answer = chat.reply(text)
        print(answer, flush=True)
        for words in chat.remember(text, context):
            print(f"  (remembered: {words})", flush=True)
        context = f"Q: {text} A: {answer}"


def lines() -> Iterator[str]:
    """What the user types, or what comes through a pipe."""
    if sys.stdin.isatty():
        print("Type, and end with Ctrl-D.")
    for line in sys.stdin:
        if line.strip():
            yield line.strip()


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-u", "--user", required=True, help="whose memory it is")
    parser.add_argument("--server", default="127.0.0.1:50051", help="the KGT service")
    parser.add_argument(
        "--base-url",
        default=os.environ.get("OPENAI_BASE_URL"),
        help="the endpoint, up to /v1 (OPENAI_BASE_URL)",
    )
    parser.add_argument("--model", required=True, help="the model's name at the endpoint")
    options = parser.parse_args()
    key = os.environ.get("OPENAI_API_KEY", "none")  # local endpoints take any
    try:
        with (
            Client(options.server, **access_in(os.environ)) as memory,
            OpenAI(base_url=options.base_url, api_key=key) as endpoint,
        ):
            talk(Chat(memory, endpoint, options.model, options.user))
    except (CallError, OpenAIError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
