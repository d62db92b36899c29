from hypothesis import given
from hypothesis import strategies as st

from server.lm.packing import TokenSequence, cut_tree, fitting, pack

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


@given(sequences, st.integers(1, 40))
def test_a_cut_tree_is_the_tree_of_the_sequences_in_it(
    asked: list[TokenSequence], room: int
) -> None:
    (tree,) = pack(asked, 10_000)
    tokens = fitting(tree, room)
    assert tokens <= min(room, len(tree.tokens))
    if not tokens:
        return
    first, left = cut_tree(tree, tokens)
    there = [number for number, _ in first.paths]
    assert sorted([*there, *left]) == list(range(len(asked)))
    assert left, "something is left, or it would not be cut"
    (expected,) = pack(asked, 10_000, there)
    assert first.tokens.tolist() == expected.tokens.tolist()
    assert first.positions.tolist() == expected.positions.tolist()
    assert first.ends.tolist() == expected.ends.tolist()
    assert sorted(first.paths) == sorted(expected.paths)
    rest = pack(asked, 10_000, left)[0]
    assert len(first.tokens) + len(rest.tokens) <= 1.25 * tokens + len(tree.tokens) - tokens


def test_a_tree_is_cut_between_paths_where_little_is_read_again() -> None:
    """Two prompts of 8 tokens, which share one, with two continuations each."""
    prompts = [(0, *range(1, 8)), (0, *range(11, 18))]
    asked = [
        TokenSequence((*prompt, first, 8, 9), len(prompt)) for prompt in prompts for first in (5, 6)
    ]
    (tree,) = pack(asked, 100)
    assert len(tree.tokens) == 23
    assert fitting(tree, 22) == 12, "after the first prompt"
    assert fitting(tree, 11) == 0, "a whole prompt would be read again"
    first, left = cut_tree(tree, 12)
    assert [number for number, _ in first.paths] == [0, 1]
    assert left == [2, 3]
