"""Everything taken along, and everything erased."""

from __future__ import annotations

import json

from kgt.client import Client
from kgt.v1 import personalization_pb2 as pb
from tests.kgt.console.person import person
from tests.kgt.scripted_server import Script, scripted_server


def test_an_export_is_a_file_that_can_be_imported(service: str) -> None:
    with Client(service) as kgt:
        kgt.edit_facts(user="mover", add=[("I", "likes", "träumen\u2028")])
        with person(service, "mover") as one:
            response = one.browser.get("/export")
        assert response.headers["content-disposition"] == 'attachment; filename="kgt-export.jsonl"'
        assert response.headers["cache-control"] == "no-store"
        lines = response.content.decode().removesuffix("\n").split("\n")
        assert [json.loads(line) for line in lines]
        kgt.import_overlay(user="moved", lines=lines)
        assert kgt.list_facts(user="moved").facts[0].triple.tail == "träumen"


def test_an_export_that_fails_on_its_way_is_a_page_and_not_half_a_file() -> None:
    script = Script(
        failures=1,
        messages_before_failure=1,
        trailing=(),
        responses={"ExportOverlay": [pb.ExportOverlayResponse(line="{}")]},
    )
    with scripted_server(script) as address, person(address, "mover") as one:
        one.opens("/export")
    assert one.status == 503
    assert "text/html" in one.content_type


def test_a_line_in_pieces_is_one_line() -> None:
    pieces = [
        pb.ExportOverlayResponse(line='{"a":', continued=True),
        pb.ExportOverlayResponse(line="1}"),
        pb.ExportOverlayResponse(line="{}"),
    ]
    script = Script(responses={"ExportOverlay": pieces})
    with scripted_server(script) as address, person(address, "mover") as one:
        assert one.browser.get("/export").text == '{"a":1}\n{}\n'


def test_nothing_is_erased_until_the_name_is_typed(service: str) -> None:
    with Client(service) as kgt:
        kgt.edit_facts(user="leaver two", add=[("I", "likes", "tea")])
        with person(service, "leaver two") as one:
            one.opens("/data")
            for typed in ("", "yes", "Leaver Two"):
                text = one.sends("/erase", confirmation=typed)
                assert one.status == 400
                assert "Nothing was erased" in text
            assert kgt.list_facts(user="leaver two").facts
            text = one.sends("/erase", confirmation="leaver two")
            assert one.title == "Everything is erased"
            assert "1 change and 1 fact are gone" in text
            assert "Nothing yet" in one.opens("/")
