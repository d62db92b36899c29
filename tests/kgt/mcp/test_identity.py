"""The file of tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgt.mcp.identity import UserTokens, WrongTokens
from tests.kgt.mcp.running import tokens_file

ANN, BEN = "t-0123456789abcdef", "u-0123456789abcdef"


async def test_a_token_has_its_user_and_no_other_text_has_one(tmp_path: Path) -> None:
    tokens = UserTokens.read(tokens_file(tmp_path, {ANN: "ann", BEN: "ben of the hill"}))
    for token, user in ((ANN, "ann"), (BEN, "ben of the hill")):
        found = await tokens.verify_token(token)
        assert found is not None
        assert found.subject == user
    for other in ("", ANN.upper(), ANN[:-1], f"{ANN} ann"):
        assert await tokens.verify_token(other) is None


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", f"{ANN}\n", "short ann\n", f"{ANN} ann\n{ANN} ben\n"]
)
def test_a_file_that_is_not_tokens_is_refused_without_showing_one(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(WrongTokens) as refused:
        UserTokens.read(path)
    assert ANN not in str(refused.value)
