"""Limits: the settings of `server.rpc.load`, `server.rpc.rates` and `server.writing.quotas`.

Their defaults are those of the classes there.
"""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.graph.checks import MAX_TEXT_BYTES
from server.rpc.limits import MAX_MESSAGE_BYTES
from server.rpc.load import Load
from server.rpc.rates import SERVICE_RATE, UNLIMITED, USER_RATE, Rates, parsed
from server.tuning.export_format import MAX_BYTES, MAX_LINES
from server.writing.quotas import Quotas

_LOAD = Load()
_QUOTAS = Quotas()
_MOST_CALLS = 100_000
_DAY_S = 86_400


class LimitSettings(BaseSettings):
    """What one user, one service and all of them together may take up."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    user_rate: str = Field(
        USER_RATE, description="how often calls may be made for one user; none is no limit"
    )
    service_rate: str = Field(
        SERVICE_RATE, description="how often one service may call, for all users together"
    )
    calls: int = Field(_LOAD.calls, ge=1, le=_MOST_CALLS, description="calls under way")
    user_calls: int = Field(
        _LOAD.user_calls, ge=1, le=_MOST_CALLS, description="calls under way, of one user"
    )
    exports: int = Field(_LOAD.exports, ge=1, le=1000, description="exports under way")
    user_exports: int = Field(
        _LOAD.user_exports, ge=1, le=1000, description="exports under way, of one user"
    )
    imports: int = Field(_LOAD.imports, ge=1, le=1000, description="imports under way")
    user_imports: int = Field(
        _LOAD.user_imports, ge=1, le=1000, description="imports under way, of one user"
    )
    max_message_bytes: int = Field(
        _LOAD.message_bytes,
        ge=1 << 16,
        le=MAX_MESSAGE_BYTES,
        description="the largest message from a caller",
    )
    max_text_bytes: int = Field(
        _LOAD.text_bytes,
        ge=1,
        le=MAX_TEXT_BYTES,
        description="the longest query, answer, candidate or text to learn from",
    )
    user_facts: int = Field(
        _QUOTAS.facts, ge=1, description="the most facts that one user adds and removes"
    )
    user_edits: int = Field(
        _QUOTAS.edits,
        ge=1,
        le=(MAX_LINES - 2) // 2,
        description="the most edits of one user that are kept; reverts may be as many again",
    )
    user_history_bytes: int = Field(
        _QUOTAS.history_bytes,
        ge=1,
        le=MAX_BYTES * 15 // 32,
        description="the most bytes of one user's edits, as an export has them; reverts may take as"
        " much again",
    )
    connections: int = Field(
        _LOAD.connections, ge=1, le=_MOST_CALLS, description="open connections"
    )
    connection_calls: int = Field(
        _LOAD.connection_calls,
        ge=1,
        le=_MOST_CALLS,
        description="calls under way on one connection",
    )
    connection_age_s: float = Field(
        _LOAD.connection_age_s,
        ge=1,
        le=_DAY_S,
        description="seconds after which a connection is to end; clients open another",
    )
    connection_grace_s: float = Field(
        _LOAD.connection_grace_s,
        ge=0,
        le=_DAY_S,
        description="seconds that the calls on it then have to end",
    )
    keepalive_s: float = Field(
        _LOAD.keepalive_s,
        ge=1,
        le=_DAY_S,
        description="seconds of silence after which a caller's machine has to show itself",
    )
    stalled_s: float = Field(
        _LOAD.idle_s,
        gt=0,
        le=3600,
        description="seconds that a caller may take to send the next message, or to take one",
    )

    @field_validator("user_rate", "service_rate")
    @classmethod
    def _rate(cls, value: str) -> str:
        try:
            parsed(value)
        except ValueError:
            raise ValueError(
                f'is not a rate such as 20/second or "20/second; 500/minute", nor {UNLIMITED}'
            ) from None
        return value

    @property
    def load(self) -> Load:
        """What all callers together may occupy."""
        return Load(
            calls=self.calls,
            user_calls=self.user_calls,
            exports=self.exports,
            user_exports=self.user_exports,
            imports=self.imports,
            user_imports=self.user_imports,
            message_bytes=self.max_message_bytes,
            text_bytes=self.max_text_bytes,
            connections=self.connections,
            connection_calls=self.connection_calls,
            connection_age_s=self.connection_age_s,
            connection_grace_s=self.connection_grace_s,
            keepalive_s=self.keepalive_s,
            idle_s=self.stalled_s,
        )

    @property
    def quotas(self) -> Quotas:
        """What is kept of one user."""
        return Quotas(self.user_facts, self.user_edits, self.user_history_bytes)

    def new_rates(self) -> Rates:
        """The rates, with nothing counted yet."""
        return Rates(self.user_rate, self.service_rate)
