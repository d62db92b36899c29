"""An OpenAI-compatible endpoint whose answers are those of the service's own model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from server.tuning.ports import GenerateRequest, LanguageModel
from server.tuning.templates import reasoning_prompt, root_prompt

KEY = "a key of the tests"
Messages = Sequence[Mapping[str, str]]


@dataclass
class Endpoint:
    """A running endpoint, and the messages that it was sent."""

    url: str
    asked: list[Messages] = field(default_factory=list)


async def completion(model: LanguageModel, messages: Messages) -> str:
    """The model's answer to the last message, from the facts that the first one lists."""
    facts = [m.removeprefix("- ") for m in messages[0]["content"].splitlines() if m[:2] == "- "]
    question = messages[-1]["content"]
    prompt = reasoning_prompt(question, facts) if facts else root_prompt(question)
    return "".join([p.text async for p in model.generate(GenerateRequest(prompt, 64))]).strip()


@contextlib.asynccontextmanager
async def running_endpoint(model: LanguageModel) -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of loopback, until the block ends."""
    loop = asyncio.get_running_loop()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.headers["Authorization"] != f"Bearer {KEY}":
                self._send(401, {"error": {"message": "wrong key"}})
                return
            endpoint.asked.append(request["messages"])
            work = completion(model, request["messages"])
            text = asyncio.run_coroutine_threadsafe(work, loop).result()
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            kind = {"id": "1", "object": "chat.completion", "created": 0, "model": request["model"]}
            self._send(200, {**kind, "choices": [choice]})

        def _send(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}/v1")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield endpoint
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()
