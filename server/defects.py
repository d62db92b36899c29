"""How a defect is told in the log."""

from __future__ import annotations


def where(error: BaseException) -> str:
    """The kind of an error and the lines it came through.

    Its message is left out, because it may hold what a user wrote.
    """
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(frames))}"
