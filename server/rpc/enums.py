"""The contract's enumerations and the server's own, value by value.

Both have the same names: Removal.NONE is REMOVAL_NONE of the contract's Removal. So a new value
needs no line here.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, TypeVar

from kgt.v1 import personalization_pb2 as pb
from server.graph.edit import EditKind, StopReason
from server.graph.triple import Origin
from server.tuning.learn.filing import Doubt
from server.tuning.learn.outcome import Fate
from server.tuning.personalize.command import RelationSource
from server.tuning.problem import Removal, Stopping

Value = TypeVar("Value", bound=Enum)


def _numbers(values: type[Value]) -> dict[Value, Any]:
    """The contract's number of each value. Raises KeyError where the contract lacks one."""
    contract = pb.DESCRIPTOR.enum_types_by_name[values.__name__].values_by_name
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", values.__name__).upper()
    return {value: contract[f"{prefix}_{value.name}"].number for value in values}


def _values(values: type[Value]) -> dict[int, Value]:
    """The value of each of the contract's numbers."""
    return {number: value for value, number in _numbers(values).items()}


# What is answered

ORIGINS = _numbers(Origin)
EDIT_KINDS = _numbers(EditKind)
STOP_REASONS = _numbers(StopReason)
FATES = _numbers(Fate)
DOUBTS = _numbers(Doubt)

# What is asked

STOPPINGS = _values(Stopping)
REMOVALS = _values(Removal)
RELATION_SOURCES = _values(RelationSource)
