"""What an address is, which addresses are on this machine, and which variable names one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgt.addresses import Address, InvalidAddress, channel_options, for_client, named_address
from kgt.client import AsyncClient, Client

LOOPBACK = [
    "127.0.0.1:50051",
    "127.255.0.9:1",
    "[::1]:50051",
    "[0:0:0:0:0:0:0:1]:50051",
    "[::ffff:127.0.0.1]:50051",
    "[::FFFF:7f00:1]:50051",
    "localhost:50051",
    "LocalHost:50051",
    "localhost.:50051",
]
ELSEWHERE = [
    "192.0.2.1:50051",
    "[2001:db8::1]:50051",
    "[::ffff:192.0.2.1]:50051",
    "[fe80::1%eth0]:50051",
    "kgt.example.org:50051",
    "kgt:50051",
    "my_service:50051",
    "localhost.example.org:50051",
    "127.0.0.1.example.org:50051",
]
NO_ADDRESSES = [
    "",
    "127.0.0.1",
    ":50051",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1:5_0",
    "127.0.0.1:http",
    "127.0.0.1:\uff15",
    "127.0.0.1:\u0665\u0660",
    "127.0.0.\uff11:50051",
    "\uff4cocalhost:50051",
    "::1:50051",
    "[127.0.0.1:50051",
    "[localhost]:50051",
    "[::g]:50051",
    "127.1:50051",
    "2130706433:50051",
    "0x7f000001:50051",
    "256.0.0.1:50051",
    "127.0.0.1.:50051",
    " 127.0.0.1:50051",
    "127.0.0.1:50051\n",
    "127.0.0.1:50051 ",
    "127.0.0.1 :50051",
    "http://127.0.0.1:50051",
    "me@127.0.0.1:50051",
    "127.0.0.1:50051/",
]


@pytest.mark.parametrize(
    "text", [*LOOPBACK, "unix:/run/kgt.sock", "unix:kgt.sock", "unix:///run/kgt.sock"]
)
def test_what_is_on_this_machine_is_not_reached_through_a_proxy(text: str) -> None:
    assert for_client(text).is_loopback
    assert channel_options(for_client(text)) == [("grpc.enable_http_proxy", 0)]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_what_is_elsewhere_is_reached_as_the_environment_says(text: str) -> None:
    assert not for_client(text).is_loopback
    assert channel_options(for_client(text)) == []


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(text)
    with pytest.raises(InvalidAddress):
        for_client(text)


@given(st.text())
def test_no_text_is_an_address_that_cannot_be_written_in_ascii(text: str) -> None:
    with contextlib.suppress(InvalidAddress):
        assert Address.parse(text).text.isascii()


@given(st.text(st.characters(categories=["Nd", "No"], min_codepoint=0x80), min_size=1, max_size=3))
def test_digits_of_other_scripts_are_not_a_port(port: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0.0.0.0:50051", "127.0.0.1:50051"),
        ("[::]:50051", "[::1]:50051"),
        ("[0::0]:50051", "[::1]:50051"),
        ("[::ffff:0.0.0.0]:50051", "127.0.0.1:50051"),
        ("dns:///kgt.example.org:50051", "kgt.example.org:50051"),
        ("127.0.0.1:50051", "127.0.0.1:50051"),
    ],
)
def test_a_client_of_every_interface_asks_this_machine(text: str, meant: str) -> None:
    assert for_client(text).text == meant
    assert channel_options(for_client(text)) == channel_options(for_client(meant))


@pytest.mark.parametrize("text", ["127.0.0.1:0", "unix:", "unix:///"])
def test_a_client_needs_to_know_where(text: str) -> None:
    with pytest.raises(InvalidAddress):
        for_client(text)


def test_a_server_listens_on_no_path() -> None:
    for text in ("unix:/run/kgt.sock", "unix:50051"):
        with pytest.raises(InvalidAddress):
            Address.parse(text)
    assert Address.parse("127.0.0.1:0").port == 0


@pytest.mark.parametrize(("kind", "module"), [(Client, grpc), (AsyncClient, grpc.aio)])
async def test_both_clients_take_the_proxy_for_others_only(
    kind: type[Client] | type[AsyncClient], module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, dict[str, Any]]] = []
    real = module.insecure_channel

    def channel(target: str, options: Any) -> Any:
        made.append((target, dict(options)))
        return real("127.0.0.1:1", options=options)

    monkeypatch.setattr(module, "insecure_channel", channel)
    for text in ("127.0.0.1:50051", "0.0.0.0:50051", "192.0.2.1:50051"):
        closing = kind(text).close()
        if closing is not None:
            await closing
    assert [target for target, _ in made] == [
        "127.0.0.1:50051",
        "127.0.0.1:50051",
        "192.0.2.1:50051",
    ]
    assert [options.get("grpc.enable_http_proxy") for _, options in made] == [0, 0, None]


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, None),
        ({"KGT_ADDRESS": "", "KGT_SERVER": ""}, None),
        ({"KGT_ADDRESS": "127.0.0.1:1"}, "127.0.0.1:1"),
        ({"KGT_SERVER": "127.0.0.1:1"}, "127.0.0.1:1"),
        ({"KGT_ADDRESS": "", "KGT_SERVER": "127.0.0.1:1"}, "127.0.0.1:1"),
        ({"KGT_ADDRESS": "127.0.0.1:1", "KGT_SERVER": "127.0.0.1:1"}, "127.0.0.1:1"),
        ({"KGT_ADDRESS": "0.0.0.0:1", "KGT_SERVER": "127.0.0.1:1"}, "0.0.0.0:1"),
        ({"KGT_ADDRESS": "localhost:1", "KGT_SERVER": "LOCALHOST:1"}, "localhost:1"),
    ],
)
def test_either_variable_names_the_server(
    environment: Mapping[str, str], address: str | None
) -> None:
    assert named_address(environment) == address


@pytest.mark.parametrize("other", ["127.0.0.1:2", "nonsense", "unix:/run/kgt.sock", "127.0.0.1:0"])
def test_variables_that_name_different_servers_are_refused(other: str) -> None:
    with pytest.raises(InvalidAddress, match="KGT_ADDRESS and KGT_SERVER"):
        named_address({"KGT_ADDRESS": "127.0.0.1:1", "KGT_SERVER": other})
