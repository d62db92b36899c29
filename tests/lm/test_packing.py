from hypothesis import given
from hypothesis import strategies as st

from server.lm.packing import TokenSequence, pack

sequences = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=8).map(lambda tokens: TokenSequence(tuple(tokens), 0)),
    min_size=1,
    max_size=20,
)


@given(sequences, st.integers(1, 40))
def test_each_sequence_is_in_one_row_along_its_own_path(asked: list[TokenSequence], row_tokens: int) -> None:
    rows = pack(asked, row_tokens)
    seen = {}
    for row in rows:
        mask = row.mask()
        for number, path in row.paths:
            assert number not in seen
            seen[number] = tuple(row.tokens[list(path)])
            assert [row.positions[node] for node in path] == list(range(len(path)))
            for at, node in enumerate(path):
                assert set(mask[node].nonzero()[0]) == set(path[: at + 1]), "a token sees its own branch alone"
    assert seen == {n: s.tokens for n, s in enumerate(asked)}


@given(sequences, st.integers(1, 40))
def test_rows_keep_to_the_budget(asked: list[TokenSequence], row_tokens: int) -> None:
    for row in pack(asked, row_tokens):
        assert len(row.tokens) <= row_tokens or len(row.paths) == 1 or len({asked[n].tokens for n, _ in row.paths}) == 1


@given(sequences)
def test_a_row_holds_each_common_beginning_once(asked: list[TokenSequence]) -> None:
    (row,) = pack(asked, 10_000)
    beginnings = {s.tokens[: n + 1] for s in asked for n in range(len(s.tokens))}
    assert len(row.tokens) == len(beginnings)
