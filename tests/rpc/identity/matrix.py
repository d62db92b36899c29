"""Who may call what for whom: every kind of caller, every RPC, and three users."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc.aio
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from kgt.errors import from_rpc_error
from kgt.v1 import personalization_pb2 as pb
from server.rpc.identity.tokens import ANY_USER, OPERATOR
from testbed.keys import Issuer
from tests.rpc.raw import METHODS
from tests.rpc.running import ENJOY

ALICE, BOB, NOBODY = "alice", "bob", "nobody yet"
"""Whose tokens are sent, a user who has facts, and one of whom nothing is stored."""
USERS = (ALICE, BOB, NOBODY)
ISSUER = Issuer()
_HOUR_S = 3600
_WAIT_S = 60

Metadata = Sequence[tuple[str, str]]

_FIELDS: dict[str, dict[str, Any]] = {
    "Personalize": {"query": ENJOY, "answer": "fish"},
    "Learn": {"text": "My dog is named Rex."},
    "Answer": {"query": ENJOY},
    "StreamAnswer": {"query": ENJOY},
    "Retrieve": {"query": ENJOY},
    "GetNeighborhood": {"concept": "dog"},
    "ListFacts": {},
    "EditFacts": {"add": [pb.Triple(head="dog", relation="Desires", tail="fish")]},
    "ListEdits": {},
    "RevertEdit": {"edit_id": "e"},
    "ExportOverlay": {},
    "ImportOverlay": {"lines": ["{}"]},
    "EraseUser": {},
}
"""What each RPC is called with, next to the user."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: everything of it that its caller can see, except the time it took."""

    reason: str
    """Empty for a call that was let through, however it ended."""
    seen: tuple[object, ...] = ()


def bearer(token: str) -> Metadata:
    return [("authorization", f"Bearer {token}")]


def _encoded(part: Mapping[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def _forged(header: Mapping[str, Any], secret: bytes | None) -> str:
    """Alice's claims under another header, with a symmetric signature or none."""
    claims = jwt.decode(ISSUER.token(ALICE, ANY_USER), options={"verify_signature": False})
    signed = _encoded({"kid": ISSUER.key_id, **header}) + b"." + _encoded(claims)
    mac = b"" if secret is None else hmac.digest(secret, signed, hashlib.sha256)
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def _stranger(key_id: str) -> Issuer:
    return replace(ISSUER, key_id=key_id, key=ec.generate_private_key(ec.SECP256R1()))


def _own_key_in_the_header() -> str:
    stranger = _stranger("mine")
    claims = jwt.decode(stranger.token(ALICE), options={"verify_signature": False})
    return jwt.encode(
        claims, stranger.key, "ES256", headers={"kid": "mine", "jwk": stranger.public_jwk}
    )


def _refused() -> dict[str, tuple[Metadata, str]]:
    """What does not prove anything, and the reason that its sender gets."""
    now, whole = int(time.time()), ISSUER.token(ALICE, ANY_USER)
    head, claims, signature = whole.split(".")
    other_claims = ISSUER.token(BOB, ANY_USER).split(".")[1]
    invalid = {
        "an empty token": bearer(""),
        "no token after all": [("authorization", "")],
        "another scheme": [("authorization", f"Basic {whole}")],
        "the token alone": [("authorization", whole)],
        "two tokens": [*bearer(whole), *bearer(whole)],
        "no JWT": bearer("open sesame"),
        "dots": bearer(".."),
        "a header that is a list": bearer(f"W10.{claims}.{signature}"),
        "an algorithm that is a list": bearer(_forged({"alg": ["ES256"]}, None)),
        "no algorithm": bearer(_forged({}, None)),
        "a key's id that is a number": bearer(_forged({"alg": "ES256", "kid": 1}, None)),
        "a part of a signature": bearer(whole[:-8]),
        "no signature": bearer(f"{head}.{claims}."),
        "another's claims": bearer(f"{head}.{other_claims}.{signature}"),
        "another key": bearer(_stranger(ISSUER.key_id).token(ALICE, ANY_USER)),
        "an unknown key": bearer(_stranger("second").token(ALICE, ANY_USER)),
        "its own key in its header": bearer(_own_key_in_the_header()),
        "not yet valid": bearer(ISSUER.token(ALICE, nbf=now + _HOUR_S)),
        "issued in the future": bearer(ISSUER.token(ALICE, iat=now + _HOUR_S)),
        "another audience": bearer(replace(ISSUER, audience="other").token(ALICE)),
        "no audience": bearer(ISSUER.token(ALICE, aud=None)),
        "another issuer": bearer(replace(ISSUER, name="https://other.example").token(ALICE)),
        "no issuer": bearer(ISSUER.token(ALICE, iss=None)),
        "for ever": bearer(ISSUER.token(ALICE, exp=None)),
        "nobody": bearer(ISSUER.token(ALICE, sub=None)),
        "a number as subject": bearer(ISSUER.token(ALICE, sub=1)),
        "alg none": bearer(_forged({"alg": "none"}, None)),
        "alg None": bearer(_forged({"alg": "None"}, None)),
        "HMAC with the public key": bearer(_forged({"alg": "HS256"}, ISSUER.public_pem)),
        "HMAC with the public key as JWK": bearer(
            _forged({"alg": "HS256"}, json.dumps(ISSUER.public_jwk).encode())
        ),
        "HMAC with nothing": bearer(_forged({"alg": "HS256"}, b"")),
        "another key and expired": bearer(_stranger(ISSUER.key_id).token(ALICE, exp=now - _HOUR_S)),
    }
    return {
        "no token": ([], "TOKEN_MISSING"),
        "a name in the metadata": ([("user", ALICE), ("x-user", ALICE)], "TOKEN_MISSING"),
        "expired": (bearer(ISSUER.token(ALICE, ANY_USER, exp=now - _HOUR_S)), "TOKEN_EXPIRED"),
        **{name: (metadata, "TOKEN_INVALID") for name, metadata in invalid.items()},
    }


REFUSED = _refused()
USERS_OWN: dict[str, Metadata] = {
    "a user": bearer(ISSUER.token(ALICE)),
    "a user with a scope of somebody else's": bearer(ISSUER.token(ALICE, "kgt.any_users kgt")),
    "an operator": bearer(ISSUER.token(ALICE, OPERATOR)),
    "several audiences": bearer(ISSUER.token(ALICE, aud=["other", ISSUER.audience])),
}
"""Those who may act for Alice only."""
SERVICES: dict[str, Metadata] = {
    "a service": bearer(ISSUER.token("chat", ANY_USER)),
    "scopes as a list": bearer(ISSUER.token("chat", scope=None, scp=[OPERATOR, ANY_USER])),
}
"""Those who may act for all users."""


async def outcome(stub: Any, rpc: str, user: str, metadata: Metadata) -> Outcome:
    """Call `rpc` for `user`."""
    (method,) = (m for m in METHODS if m.name == rpc)
    request = getattr(pb, method.input_type.name)(user=user, **_FIELDS[rpc])
    sent = _one(request) if method.client_streaming else request
    call = getattr(stub, rpc)(sent, metadata=metadata, timeout=_WAIT_S)
    try:
        if method.server_streaming:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        reason = from_rpc_error(error).reason
        stopped = error.code() in (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.PERMISSION_DENIED,
        )
        trailing: Any = error.trailing_metadata() or ()
        seen = (error.code(), error.details(), *(tuple(item) for item in trailing))
        return Outcome(reason, seen) if stopped else Outcome("")
    return Outcome("")


async def _one(request: Any) -> AsyncIterator[Any]:
    yield request
