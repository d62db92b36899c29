from collections.abc import Iterator

import pytest

from tests.telemetry.seeing import Seen


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.sight.close()
