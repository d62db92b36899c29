"""The rounds in which lanes put edges, without a database."""

from __future__ import annotations

from itertools import combinations_with_replacement

import pytest

from server.stores.neo4j.base import Meeting, meetings


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8])
def test_in_a_round_no_two_lanes_share_a_bucket_and_all_pairs_meet_once(lanes: int) -> None:
    found = meetings(lanes)
    pairs = [(m.low, m.high) for m in found]
    assert sorted(pairs) == list(combinations_with_replacement(range(2 * lanes), 2))
    for round in {m.round for m in found}:
        taken = [buckets_of(found, round, lane) for lane in range(lanes)]
        assert sum(len(buckets) for buckets in taken) == len(set().union(*taken)) == 2 * lanes


def buckets_of(found: list[Meeting], round: int, lane: int) -> set[int]:
    """The buckets that a lane touches in a round."""
    own = [meeting for meeting in found if (meeting.round, meeting.lane) == (round, lane)]
    return {meeting.low for meeting in own} | {meeting.high for meeting in own}
