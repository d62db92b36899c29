"""A LangGraph graph with a memory: one node recalls, one answers, one remembers.

    python examples/langgraph_memory.py -u alice --base-url http://127.0.0.1:8080/v1 --model NAME

A checkpointer keeps the messages of one thread. What the user tells lasts longer: the line /new
starts another thread, which knows nothing of what was said, and still knows the user. Whose memory
it is comes from the graph's context, never from what a model writes.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from typing import Annotated, TypedDict, cast
from uuid import uuid4

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    convert_to_openai_messages,
)
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from openai import OpenAI, OpenAIError
from openai.types.chat import ChatCompletionMessageParam

from kgt.client import Client, access_in
from kgt.errors import CallError


class Conversation(TypedDict):
    """The graph's state: the messages of a thread, and what is known that fits the last one."""

    messages: Annotated[list[AnyMessage], add_messages]
    known: str


@dataclass(frozen=True)
class Whose:
    """The graph's context: the user it is run for."""

    user: str


@dataclass(frozen=True)
class Nodes:
    """What the graph's nodes call."""

    memory: Client
    endpoint: OpenAI
    model: str

    def recall(self, state: Conversation, runtime: Runtime[Whose]) -> dict[str, str]:
        """Find what is known that fits the user's message."""
        found = self.memory.retrieve(user=runtime.context.user, query=state["messages"][-1].text)
        return {"known": found.context}

    def respond(self, state: Conversation) -> dict[str, list[AIMessage]]:
        """Let the model answer. The facts are in its prompt, and not in the thread."""
        told = SystemMessage(f"Go by what is known of the user.\n\n{state['known']}".strip())
        asked = convert_to_openai_messages([told, *state["messages"]])
        done = self.endpoint.chat.completions.create(
            model=self.model, messages=cast(list[ChatCompletionMessageParam], asked)
        )
        return {"messages": [AIMessage(done.choices[0].message.content or "")]}

    def remember(self, state: Conversation, runtime: Runtime[Whose]) -> None:
        """Learn from the user's message. What was said before it tells who "he" is."""
        *before, said, _ = state["messages"]
        context = " ".join(f"{sign}: {m.text}" for sign, m in zip("QA", before[-2:], strict=False))
        self.memory.learn(user=runtime.context.user, text=said.text, context=context or None)


def build(nodes: Nodes) -> CompiledStateGraph[Conversation, Whose, Conversation, Conversation]:
    """The graph: recall, respond, remember."""
    graph = StateGraph(Conversation, context_schema=Whose)
    graph.add_node("recall", nodes.recall)
    graph.add_node("respond", nodes.respond)
    graph.add_node("remember", nodes.remember)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "respond")
    graph.add_edge("respond", "remember")
    graph.add_edge("remember", END)
    return graph.compile(checkpointer=InMemorySaver())


def talk(nodes: Nodes, user: str) -> None:
    """Run the graph for each line of stdin. Raises CallError and OpenAIError."""
    graph, thread = build(nodes), new_thread()
    for line in map(str.strip, sys.stdin):
        if line == "/new":
            thread = new_thread()
        elif line:
            said: Conversation = {"messages": [HumanMessage(line)], "known": ""}
            state = graph.invoke(said, thread, context=Whose(user))
            print(state["messages"][-1].text, flush=True)


def new_thread() -> RunnableConfig:
    """What names a thread of its own to the checkpointer."""
    return {"configurable": {"thread_id": str(uuid4())}}


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
            talk(Nodes(memory, endpoint, options.model), options.user)
    except (CallError, OpenAIError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
