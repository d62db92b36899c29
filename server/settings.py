"""Every setting of the server, once: an environment variable KGT_* and a flag each, checked,
frozen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, Address, named_address
from server.errors import InvalidSetting
from server.lm.folders import DEFAULT_MODEL, cache_folder
from server.stores.neo4j.connection import EMBEDDED, Neo4jLogin, checked_login
from server.stores.sqlite.store import data_folder


class Settings(BaseSettings):
    """Serve the personalization service. Each setting is a flag here and an environment variable
    KGT_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        cli_prog_name="python -m server",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_enforce_required=False,
        protected_namespaces=(),
    )

    address: str = Field(
        DEFAULT_ADDRESS, description="host:port to listen on; port 0 takes a free one"
    )
    insecure_bind: bool = Field(
        False,
        description="allow an address beyond this machine, although there is no authentication yet",
    )
    store: str = Field(EMBEDDED, description="sqlite, or a Neo4j's address: neo4j://127.0.0.1:7687")
    data: Path = Field(default_factory=data_folder, description="folder of the embedded store")
    neo4j_user: str = Field("", description="who the service is in Neo4j; required with one")
    neo4j_password: SecretStr | None = Field(
        None,
        description="that user's password; required with a Neo4j, better as a variable than as a flag",
    )
    neo4j_database: str = Field("neo4j", description="database in Neo4j, of this service's own")
    model: str = Field(
        DEFAULT_MODEL, description="language model: Hugging Face folder, hub id or .gguf file"
    )
    adapter: str = Field(
        "auto", description="PEFT adapter folder; auto is the default model's own, none is none"
    )
    cache: Path = Field(
        default_factory=cache_folder, description="folder of fetched and converted models"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where the model runs"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format; auto is bfloat16 where the hardware computes in it"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="processor threads of the model; 0 is one for each core"
    )
    queue: int = Field(256, ge=1, le=100_000, description="requests that may wait for the model")
    token_budget: int = Field(
        0,
        ge=0,
        le=1 << 20,
        description="tokens in one forward pass, of all requests together; 0 is 2048 on a processor, 16384 on a GPU",
    )
    vocabulary: Path | None = Field(
        None, description="relation vocabulary (TOML); the built-in one when not given"
    )
    k: int = Field(
        5, ge=1, le=20, description="relations considered for a correction (the paper's K)"
    )
    facts: int = Field(3, ge=1, le=50, description="facts that an answer rests on at most")
    personal_weight: float = Field(
        2.0,
        ge=1,
        le=1000,
        description="how much more a relation with personal triples counts; 1 is the paper",
    )
    max_removed: int = Field(
        10, ge=0, le=1000, description="triples removed at most by one correction"
    )
    scored_mass: float = Field(
        0.99, gt=0, le=1, description="retrieval mass after which no more triples are scored"
    )
    max_scored_triples: int = Field(
        0,
        ge=0,
        le=4096,
        description="triples scored at most; 0 is 64 on a processor and 512 on a GPU",
    )
    normalization: Literal["mean", "sum"] = Field(
        "mean", description="a text's log-probability: the mean over its tokens, or their sum"
    )
    max_tokens: int = Field(
        64, ge=1, le=1024, description="tokens of an answer unless the request says"
    )
    grace_s: float = Field(
        10.0, ge=0, le=600, description="seconds that requests in flight get after SIGTERM"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what the log shows"
    )

    @field_validator("data", "cache", "vocabulary")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @model_validator(mode="before")
    @classmethod
    def _named_by_one_variable(cls, given: dict[str, Any]) -> dict[str, Any]:
        """KGT_SERVER, the clients' name for it, counts too, unless a flag says the address."""
        if given.get("address") not in (None, os.environ.get(VARIABLES[0])):
            return given
        named = named_address(os.environ)
        return given if named is None else {**given, "address": named}

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        return Address.parse(value).text

    @model_validator(mode="after")
    def _loopback_unless_allowed(self) -> Settings:
        if not self.insecure_bind and not Address.parse(self.address).is_loopback:
            raise ValueError(
                f"address {self.address} can be reached from other machines, and there is no authentication yet:"
                " anyone could act as any user. Set KGT_INSECURE_BIND=1 to allow it, or use 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _login_where_needed(self) -> Settings:
        try:
            self.neo4j_login  # noqa: B018 - checked once, here
        except InvalidSetting as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def neo4j_login(self) -> Neo4jLogin | None:
        """Where the Neo4j is and who the service is there; None with the embedded store."""
        if self.store == EMBEDDED:
            return None
        password = self.neo4j_password.get_secret_value() if self.neo4j_password is not None else ""
        return checked_login(self.store, self.neo4j_user, password, self.neo4j_database)

    @property
    def host(self) -> str:
        """The host of the address as it is written there."""
        return self.address.rpartition(":")[0]


def read_settings(arguments: list[str]) -> Settings:
    """Settings from flags and environment. Raises InvalidSetting naming each one that is wrong."""
    try:
        return CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_complaint(e) for e in error.errors())) from error


def _complaint(error: object) -> str:
    assert isinstance(error, dict)
    name = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"KGT_{name.upper()}: {message}" if name else message
