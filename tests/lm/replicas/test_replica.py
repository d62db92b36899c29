"""A replica by itself: what it tells of its model, without a cluster."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from server import assemble
from server.settings import Settings
from server.tuning.ports import GenerateRequest
from server.tuning.ticket import Ticket
from testbed.collector import collector
from tests.conformance.language_model import FACTS, RETRIEVAL
from tests.telemetry.seeing import Seen

replica = pytest.importorskip("server.lm.replicas.replica", reason="Ray is not installed")
wire = pytest.importorskip("server.lm.replicas.wire")


async def test_a_replica_sends_its_passes_to_the_collector_of_its_settings(
    llama_folder: Path, session_cache: Path, seen: Seen
) -> None:
    sent = wire.SentTicket.of(Ticket(number=1), now=0.0)
    with collector() as collected, seen.sight.call("Answer", ()).asked("score").sent(1) as away:
        settings = Settings(
            model=str(llama_folder),
            adapter="none",
            cache=session_cache,
            device="cpu",
            dtype="float32",
            threads=1,
            otlp_endpoint=collected.endpoint,
            metrics_address="127.0.0.1:1",
        )
        engine = replica.Engine(
            assemble.model_choice(settings), 4, 1024, 0.5, assemble.sight_of_replicas(settings)
        )
        started = replica.Replica(pickle.loads(pickle.dumps(engine)))
        scored = await started.score(wire.Asked((RETRIEVAL,), sent, None, away.headers))
        assert scored.answer.logprobs
        request = GenerateRequest(FACTS[0].prompt, 3, stop=())
        assert [a async for a in started.generate(wire.Asked(request, sent, None, away.headers))]
        started._model.close()
        del started
    assert collected.spans["model score"] == collected.spans["model generate"] == 1
    assert collected.spans["forward pass"] > 1
    assert {"kgt.model.queue.depth", "kgt.model.pass.tokens"} <= collected.metrics.keys()
    assert collected.services == {"kgt-replica"}


def test_without_a_collector_nothing_watches_a_replica() -> None:
    assert assemble.sight_of_replicas(Settings(metrics_address="127.0.0.1:9464")) is None


def test_what_opens_a_replicas_sight_holds_no_secret() -> None:
    settings = Settings(
        otlp_endpoint="http://127.0.0.1:4317",
        store="neo4j://127.0.0.1:7687",
        neo4j_user="neo4j",
        neo4j_password="opensesame",
    )
    assert b"opensesame" not in pickle.dumps(assemble.sight_of_replicas(settings))
