from kgt.command.telling import cost_line
from kgt.v1 import personalization_pb2 as pb
from server.rpc.responses import cost_message
from server.tuning.cost import Cost
from server.tuning.ports import ModelCost


def test_a_cost_tells_callers_what_was_drafted_and_accepted() -> None:
    cost = cost_message(Cost(ModelCost(3, 40, 9, 12, 6), (("generate", 5.0),)))
    assert (cost.forward_passes, cost.tokens_read, cost.tokens_generated) == (3, 40, 9)
    assert (cost.tokens_drafted, cost.tokens_accepted) == (12, 6)
    assert cost_line(cost) == (
        "3 forward passes, 40 tokens read, 9 generated (6 of 12 drafted ones accepted);"
        " ms: generate 5"
    )


def test_nothing_is_said_about_drafts_where_there_are_none() -> None:
    assert cost_line(pb.Cost(forward_passes=1)) == (
        "1 forward passes, 0 tokens read, 0 generated; ms: "
    )


def test_a_pass_that_two_parts_of_a_request_share_counts_once() -> None:
    one, other = ModelCost(2, 10, passes=frozenset({4, 5})), ModelCost(1, 3, passes=frozenset({5}))
    assert one + other == ModelCost(2, 13)
    assert one + other + ModelCost(1, 1) == ModelCost(3, 14), "not every model numbers its passes"
