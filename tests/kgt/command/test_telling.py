"""Responses as people read them: what the commands' own tests cannot bring about."""

from __future__ import annotations

import pytest

from kgt.command.telling import show_doubts
from kgt.output import Output
from kgt.v1 import personalization_pb2 as pb


def test_a_line_without_a_source_is_shown_itself(capsys: pytest.CaptureFixture[str]) -> None:
    line = pb.NotUnderstood(line="dog | likes", doubt=pb.DOUBT_FORM)
    show_doubts(pb.LearnResponse(not_understood=[line]), Output(as_json=False))
    assert capsys.readouterr().out == "not understood (form): dog | likes\n"
