"""What is watched, and where it goes: the settings of `server.telemetry`."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kgt.addresses import Address


class TelemetrySettings(BaseSettings):
    """How the log looks, and where traces and metrics go: nowhere unless a setting says so."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    log_format: Literal["plain", "console", "json"] = Field(
        "plain",
        description="how the log's lines look: plain, or with the ids of their call, in columns"
        " (console) or as json",
    )
    otlp_endpoint: str = Field(
        "",
        description="where traces and metrics are sent by OTLP over gRPC, such as"
        " http://127.0.0.1:4317; nothing is sent without it",
    )
    metrics_address: str = Field(
        "", description="host:port where Prometheus reads metrics; none are served without it"
    )

    @field_validator("metrics_address")
    @classmethod
    def _host_and_port_or_none(cls, value: str) -> str:
        return Address.parse(value).text if value else value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector_or_none(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("is an address such as http://127.0.0.1:4317 (https for TLS)")
        return value
