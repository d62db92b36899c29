from hypothesis import given
from hypothesis import strategies as st

from server.lm.packing import TokenSequence, pack

sequences = st.lists(
    st.lists(st.integers(0, 3), min_size=2, max_size=8).map(
        lambda tokens: TokenSequence(tuple(tokens), 1)
    ),
    min_size=1,
    max_size=20,
)


@given(sequences, st.integers(1, 40))
def test_each_sequence_is_in_one_tree_along_its_own_path(
    asked: list[TokenSequence], tree_tokens: int
) -> None:
    trees = pack(asked, tree_tokens)
    seen = {}
    for tree in trees:
        mask = tree.mask()
        for number, path in tree.paths:
            assert number not in seen
            seen[number] = tuple(tree.tokens[list(path)])
            assert [tree.positions[node] for node in path] == list(range(len(path)))
            for at, node in enumerate(path):
                assert set(mask[node].nonzero()[0]) == set(path[: at + 1]), (
                    "a token sees only its own branch"
                )
    assert seen == {n: s.read for n, s in enumerate(asked)}, (
        "the last token is predicted and not read"
    )


@given(sequences, st.integers(1, 40))
def test_trees_keep_to_the_budget(asked: list[TokenSequence], tree_tokens: int) -> None:
    for tree in pack(asked, tree_tokens):
        assert (
            len(tree.tokens) <= tree_tokens
            or len(tree.paths) == 1
            or len({asked[n].read for n, _ in tree.paths}) == 1
        )


@given(sequences)
def test_a_tree_holds_each_common_beginning_once(asked: list[TokenSequence]) -> None:
    (tree,) = pack(asked, 10_000)
    beginnings = {s.read[: n + 1] for s in asked for n in range(len(s.read))}
    assert len(tree.tokens) == len(beginnings)
