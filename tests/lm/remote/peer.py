"""An OpenAI-compatible server on loopback over a tiny real model. It can be as limited, as wrong
and as busy as servers are."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

NAME = "tiny"
STOP = "stop"


@dataclass
class Manners:
    """What a server takes and gives."""

    takes_tokens: bool = True
    takes_many: bool = True
    echoes: bool = True
    takes_bias: bool = True
    biased_logprobs: bool = False
    """Log-probabilities are those after the bias, as OpenAI's."""
    silent: bool = False
    """It has no log-probabilities at all."""
    shifted: bool = False
    """An echo has each token's log-probability after itself, as llama-cpp-python's without a
    beginning token."""
    leaves_out_first: bool = False
    takes_samplers: bool = True
    tells_context: bool = True
    lists_models: bool = True
    tells_usage: bool = True
    key: str = ""
    context: int = 256
    failures: list[int | str] = field(default_factory=list)
    """Statuses that the next completions are answered with; "drop" closes the connection."""
    retry_after_s: int | None = None
    breaks_off_after: int | None = None
    """Events after which a stream ends in an error."""
    gate: threading.Event | None = None
    """What completions wait for."""


class Peer:
    """The server. `asked` has the bodies of the completions it was asked for, and
    `headers` what came with each, by names in small letters."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self._bytes = {t: _bytes_of(said) for said, t in self._tokenizer.get_vocab().items()}
        self._lock = threading.Lock()
        self.manners = Manners()
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.left_early = threading.Event()
        peer = self

        class Handler(_Handler):
            server_peer = peer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        self.manners = Manners()
        self.asked.clear()
        self.headers.clear()
        self.left_early.clear()

    # What it answers

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, str] | None:
        """The status and message for what it does not take."""
        manners, prompts = self.manners, body["prompt"]
        many = isinstance(prompts, list) and not isinstance(prompts[0], int)
        first = prompts[0] if many else prompts
        if many and not manners.takes_many:
            return 500, ""  # as llama-cpp-python
        if not isinstance(first, str) and not manners.takes_tokens:
            return 422, "a prompt is a string"
        if body.get("echo") and body.get("logprobs") is not None and not manners.echoes:
            return 400, "echo is not supported with logprobs"
        if body.get("logit_bias") and not manners.takes_bias:
            return 400, "logit_bias is not supported"
        if "repeat_penalty" in body and not manners.takes_samplers:
            return 400, "unknown parameter"
        longest = max(map(len, self._prompts(body)))
        if longest + body["max_tokens"] > manners.context:
            return 400, f"This model's maximum context length is {manners.context} tokens"
        return None

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        choices = []
        written = 0
        for index, tokens in enumerate(self._prompts(body)):
            drawn = list(self._drawn(tokens, body))
            written += len(drawn)
            choices.append(self._choice(index, tokens, drawn, body))
        usage = {"prompt_tokens": 1, "completion_tokens": written}
        return {"choices": choices, "usage": usage}

    def events(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        [tokens] = self._prompts(body)
        drawn: list[int] = []
        given = ""
        for token in self._drawn(tokens, body):
            drawn.append(token)
            text = self._tokenizer.decode(drawn, skip_special_tokens=True).rstrip("�")
            if text != given:
                yield {"choices": [{"index": 0, "text": text[len(given) :]}]}
                given = text
        rest = self._tokenizer.decode(drawn, skip_special_tokens=True)[len(given) :]
        yield {"choices": [{"index": 0, "text": rest, "finish_reason": STOP}]}
        if self.manners.tells_usage and body.get("stream_options"):
            yield {"choices": [], "usage": {"completion_tokens": len(drawn)}}

    def _prompts(self, body: Mapping[str, Any]) -> list[list[int]]:
        prompts = body["prompt"]
        if isinstance(prompts, str) or isinstance(prompts[0], int):
            prompts = [prompts]
        return [self._tokenizer(p).input_ids if isinstance(p, str) else p for p in prompts]

    def _drawn(self, tokens: list[int], body: Mapping[str, Any]) -> Iterator[int]:
        generator = torch.Generator().manual_seed(body.get("seed") or 0)
        tokens, drawn = list(tokens), b""
        for _ in range(body["max_tokens"]):
            logits = self._logits(tokens)[-1]
            for token, bias in (body.get("logit_bias") or {}).items():
                logits[int(token)] += bias
            if "grammar" in body:
                allowed = self._allowed(body["grammar"], drawn)
                logits = torch.full_like(logits, -torch.inf).index_copy(0, allowed, logits[allowed])
            if temperature := body["temperature"]:
                odds = torch.softmax(logits / temperature, -1)
                token = int(torch.multinomial(odds, 1, generator=generator))
            else:
                token = int(logits.argmax())
            if token == self._tokenizer.eos_token_id:
                return
            tokens.append(token)
            drawn += self._bytes.get(token, b"")
            yield token

    def _allowed(self, grammar: str, drawn: bytes) -> torch.Tensor:
        """The tokens that a grammar of one text allows, as llama.cpp's do, byte by byte."""
        left = json.loads(grammar.removeprefix("root ::= ")).encode()[len(drawn) :]
        return torch.tensor(
            [t for t, said in self._bytes.items() if said and left.startswith(said)]
        )

    def _logits(self, tokens: list[int]) -> torch.Tensor:
        with self._lock, torch.inference_mode():
            logits: torch.Tensor = self._model(input_ids=torch.tensor([tokens])).logits[0]
        return logits.clone()

    def _choice(
        self, index: int, tokens: list[int], drawn: list[int], body: Mapping[str, Any]
    ) -> dict[str, Any]:
        whole = tokens + drawn
        text = self._tokenizer.decode(whole if body.get("echo") else drawn)
        choice: dict[str, Any] = {"index": index, "text": text, "logprobs": None}
        if (most := body.get("logprobs")) is None or self.manners.silent:
            return choice
        logits = self._logits(whole)
        if self.manners.biased_logprobs:
            for token, bias in (body.get("logit_bias") or {}).items():
                logits[:, int(token)] += bias
        logprobs = logits.log_softmax(-1)
        before = 0 if self.manners.shifted and body.get("echo") else 1
        first = 0 if body.get("echo") else len(tokens)
        places = list(range(first + self.manners.leaves_out_first * (first == 0), len(whole)))
        choice["logprobs"] = {
            "tokens": [self._tokenizer.decode([whole[at]]) for at in places],
            "token_logprobs": [
                None if at == 0 else float(logprobs[at - before, whole[at]]) for at in places
            ],
            "top_logprobs": [
                None if at == 0 else self._top(logprobs[at - before], most) for at in places
            ],
        }
        return choice

    def _top(self, logprobs: torch.Tensor, most: int) -> dict[str, float]:
        values, tokens = logprobs.topk(most)
        return {
            self._tokenizer.decode([int(token)]): float(value)
            for value, token in zip(values, tokens, strict=True)
        }


_BYTES = {letter: byte for byte, letter in bytes_to_unicode().items()}


def _bytes_of(token: str) -> bytes:
    """The bytes that a token stands for; none for a special token."""
    return bytes(_BYTES[one] for one in token) if _BYTES.keys() >= set(token) else b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that left, which some of these tests do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_peer: Peer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        manners = self.server_peer.manners
        if not manners.lists_models:
            self._send(404, {"error": "no such path"})
            return
        model: dict[str, Any] = {"id": NAME}
        if manners.tells_context:
            model["max_model_len"] = manners.context
        self._send(200, {"data": [model]})

    def do_POST(self) -> None:
        peer = self.server_peer
        manners = peer.manners
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        peer.asked.append(body)
        peer.headers.append({name.lower(): value for name, value in self.headers.items()})
        if manners.gate is not None:
            manners.gate.wait(60)
        failure = manners.failures.pop(0) if manners.failures else None
        if failure == "drop":
            self.close_connection = True
        elif isinstance(failure, int):
            self._send(failure, {"error": {"message": "later"}})
        elif manners.key and self.headers["Authorization"] != f"Bearer {manners.key}":
            self._send(401, {"error": {"message": "no"}})
        elif refusal := peer.refusal(body):
            self._send(refusal[0], {"error": {"message": refusal[1]}})
        elif body.get("stream"):
            self._stream(body)
        else:
            self._send(200, peer.complete(body))

    def _send(self, status: int, reply: object) -> None:
        content = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status != 200 and self.server_peer.manners.retry_after_s is not None:
            self.send_header("Retry-After", str(self.server_peer.manners.retry_after_s))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, body: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        breaks_off = self.server_peer.manners.breaks_off_after
        try:
            for number, event in enumerate(self.server_peer.events(body)):
                if number == breaks_off:
                    event = {"error": {"message": "out of memory"}}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
                if number == breaks_off:
                    return
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server_peer.left_early.set()
