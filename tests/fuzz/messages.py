"""Strategies for whatever a client may send: the requests of every RPC, drawn from the contract.

A new field or RPC needs no line here. What depends on earlier answers (an edit's id, a page token)
is drawn as a placeholder, which the fuzzer replaces before it sends the request.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from kgt.v1 import personalization_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["PersonalizationService"]
METHODS: dict[str, MethodDescriptor] = {method.name: method for method in SERVICE.methods}
CANARY = "Xq7canary"
"""Part of many of the texts that are sent. No line of the log may hold it."""
USERS = ("alice", "bob", "Zoë", "o’hara", f"{CANARY}-user")
KNOWN = "known:"
"""With a number after it, this stands for something from an earlier answer of the server."""
EXPORT = "export:"
"""A line with this stands for all lines of an export. What follows says how it is spoilt."""

_PLAIN = (
    *(
        "dog",
        "Dog",
        "my dog",
        "meat",
        "vegetables",
        "kennel",
        "C++",
        "C#",
        "-18 degrees",
        "D.C.",
        "O’Hara",
        "O'Hara",
    ),
    *("likes", "Desires", "is a", "Synonym", "walks with", "👩‍👧", "🐶", "犬", "緑茶"),
    *(
        "What does a dog enjoy?",
        "What should I feed my dog?",
        "What is my dog called?",
        "Where do you find a dog?",
    ),
)
_TRAPS = (
    *(
        "",
        " ",
        "_",
        "___",
        "...",
        "!!",
        "1.",
        "()",
        '"',
        "- ",
        "?",
        "\u200b",
        "\ufeff",
        "\u00ad",
        "\u202e",
        "\x00",
        "\x1b]0;x\x07",
    ),
    *(
        "\u0390" * 32,
        "İ" * 30,
        "ß" * 64,
        "ﷺ" * 30,
        "a" * 64,
        "a" * 65,
        "é" * 256,
        "w" * 513,
        "ภ" * 189,
        "x" * 5000,
    ),
    *(
        "http://" + "u" * 600,
        " ".join(["v" * 100] * 8),
        "👩‍👧",
        "🐶",
        "C++",
        "C#",
        "-18 degrees",
        "D.C.",
        "O’Hara",
        "O'Hara",
    ),
    *(
        "dog",
        "Dog",
        "dogs",
        "my dog",
        "meat",
        "vegetables",
        "likes",
        "Desires",
        "is a",
        "1. likes",
        "My Own",
        "r_2 = likes",
    ),
    *(
        "What does a dog enjoy?",
        "What should I feed my dog?",
        "What is my dog called?",
        "私の好きな飲み物は何ですか？",
    ),
    *(
        "<sep>",
        "<answer>: meat",
        "{query}",
        "%s %n",
        "'; DROP TABLE users; --",
        "MATCH (n) DETACH DELETE n",
        "\\",
        "[/red]",
    ),
)
_ASKED_FOR = (
    "user",
    "query",
    "answer",
    "concept",
    "edit_id",
    "head",
    "relation",
    "tail",
    "triple",
    "add",
    "lines",
)
_NUMBERS = (-(2**63), -(2**31), -1, 0, 1, 2, 3, 50, 500, 501, 4096, 2**31 - 1, 2**53, 2**63 - 1)
_REALS = (
    -1.0,
    -0.0,
    0.0,
    5e-324,
    1e-40,
    1e-37,
    1e-9,
    0.5,
    1.0,
    2.0,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
)


def requests(method: str) -> st.SearchStrategy[Message]:
    """Requests of the RPC called `method`."""
    return _message(METHODS[method].input_type)


def texts() -> st.SearchStrategy[str]:
    """Texts as people write them, traps, and any other that protobuf carries."""
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    rare = st.one_of(
        st.sampled_from(_TRAPS),
        st.sampled_from(_TRAPS).map(lambda text: f"{CANARY} {text}"),
        anything,
        anything.map(lambda text: f"{CANARY}{text}"),
    )
    return mostly(st.sampled_from(_PLAIN), rare)


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """`usual` in nine draws of ten. (`one_of` would count every branch of `rare` by itself.)"""
    return st.integers(0, 9).flatmap(lambda drawn: rare if drawn == 7 else usual)


def _message(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Mostly with all that an RPC asks for, so that calls get past the first check."""
    fields = {field.name: _field(field) for field in descriptor.fields}
    asked = {name: fields.pop(name) for name in _ASKED_FOR if name in fields}
    others = st.sets(st.sampled_from(sorted(fields)), max_size=2) if fields else st.just(set())
    some = others.flatmap(
        lambda names: st.fixed_dictionaries({**asked, **{name: fields[name] for name in names}})
    )
    whole = st.fixed_dictionaries(asked)
    anything = st.fixed_dictionaries({}, optional={**asked, **fields})
    return mostly(st.one_of(whole, some), anything).map(lambda values: _made(descriptor, values))


def _made(descriptor: Descriptor, values: dict[str, Any]) -> Message:
    return GetMessageClass(descriptor)(**values)


def _field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.name == "lines":
        return st.one_of(_exports(), _exports(), st.lists(texts(), max_size=4))
    one = _value(field)
    return st.lists(one, min_size=1, max_size=2) if field.is_repeated else one


def _exports() -> st.SearchStrategy[list[str]]:
    """A placeholder for an earlier export: as it was, or with one line left out, doubled or
    changed."""
    spoilt = st.tuples(st.sampled_from(("without", "twice", "changed")), st.integers(0, 9)).map(
        lambda drawn: [f"{EXPORT}{drawn[0]}:{drawn[1]}"]
    )
    return st.one_of(st.just([EXPORT]), spoilt)


def _value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _named_text(field.name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return mostly(st.integers(0, 3), st.integers(-1, 6))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return mostly(st.floats(0.001, 1), st.one_of(st.sampled_from(_REALS), st.floats()))
    fitting = [
        n for n in _NUMBERS if field.cpp_type == FieldDescriptor.CPPTYPE_INT64 or abs(n) < 2**31
    ]
    return mostly(st.integers(1, 20), st.sampled_from(fitting))


def _named_text(name: str) -> st.SearchStrategy[str]:
    """A text for the field called `name`: mostly one that gets past the first check."""
    placeholder = st.integers(0, 9).map(lambda n: f"{KNOWN}{n}")
    if name == "user":
        return mostly(st.sampled_from(USERS), texts())
    if name == "page_token":
        return mostly(st.one_of(st.just(""), placeholder), texts())
    if name in ("edit_id", "request_id"):
        return mostly(placeholder, texts())
    return texts()
