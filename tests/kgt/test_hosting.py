"""The flags that the console and the MCP server share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from kgt.console.__main__ import parser as console
from kgt.mcp.__main__ import parser as mcp


@pytest.mark.parametrize("parser", [console, mcp])
@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_timeout_that_no_call_can_have_is_reported_in_one_line(
    parser: Callable[[], argparse.ArgumentParser], timeout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = parser()
    with pytest.raises(SystemExit) as ended:
        program.parse_args([f"--timeout={timeout}"])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    complaint = "argument --timeout: is a number of seconds above 0, at most 604800"
    assert printed.err.startswith(f"{program.prog}: {complaint}")


@pytest.mark.parametrize("parser", [console, mcp])
def test_a_timeout_is_a_number_of_seconds(parser: Callable[[], argparse.ArgumentParser]) -> None:
    assert parser().parse_args(["--timeout", "0.5"]).timeout == 0.5
