"""Every setting of the server: an environment variable KGT_* and a flag each, checked and frozen.

Those that other programs need too are declared, and read, where those programs can reach them:
`server.stores.settings` (also for the loaders), `server.lm.folders` (also for the fetcher) and
`kgt.addresses` (also for clients). A default that belongs to the method is the method's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import CliApp, SettingsConfigDict

from kgt.addresses import DEFAULT_ADDRESS, VARIABLES, Address, named_address
from server.errors import InvalidSetting
from server.lm import defaults
from server.lm.folders import DEFAULT_MODEL, CacheSettings
from server.lm.remote.address import ModelAddress
from server.rpc.identity.settings import IdentitySettings
from server.rpc.limit_settings import LimitSettings
from server.rpc.limits import MAX_K, MAX_SCORED_TRIPLES, MAX_TOKENS
from server.stores.settings import StoreSettings
from server.telemetry.settings import TelemetrySettings
from server.tuning.answer import AnswerRules
from server.tuning.personalize.command import PersonalizeRules

_ANSWER = AnswerRules()
_PERSONALIZE = PersonalizeRules()


class Settings(StoreSettings, CacheSettings, IdentitySettings, LimitSettings, TelemetrySettings):
    """Serve the personalization service.

    Each setting is a flag here and an environment variable KGT_<NAME>. A command may come first:
    check, backup, restore, export-all, import-all, erased or erase-again.
    """

    model_config = SettingsConfigDict(
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
        description="allow an address that other machines can reach, without identity or TLS",
    )
    model: str = Field(
        DEFAULT_MODEL,
        description="language model: Hugging Face folder, hub id or .gguf file,"
        " one on another server: openai+https://HOST/v1#NAME,"
        " or replicas on Ray: ray://HOST:PORT",
    )
    model_key: SecretStr | None = Field(
        None, description="key of the model's server; safer as a variable than a flag"
    )
    tokenizer: str = Field(
        "",
        description="tokenizer of a model on another server: folder, tokenizer.json, .gguf file or"
        " hub id; the model's name when not given",
    )
    insecure_model: bool = Field(
        False, description="allow openai+http:// to another machine: texts and key unencrypted"
    )
    adapter: str = Field(
        "auto",
        description="PEFT adapter folder; auto is the default model's own, none uses no adapter",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where the model runs"
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format; auto is bfloat16 if the hardware computes in it"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="processor threads of the model; 0 is one for each core"
    )
    queue: int = Field(
        defaults.QUEUE, ge=1, le=100_000, description="requests that may wait for the model"
    )
    token_budget: int = Field(
        0,
        ge=0,
        le=1 << 20,
        description="tokens in one forward pass, of all requests together; "
        f"0 is {defaults.PROCESSOR_TOKENS} on a processor, {defaults.GPU_TOKENS} on a GPU",
    )
    prompt_share: float = Field(
        defaults.PROMPT_SHARE,
        gt=0,
        le=1,
        description="the most of a forward pass that prompts take up while texts are generated",
    )
    vocabulary: Path | None = Field(
        None, description="relation vocabulary (TOML); the built-in one when not given"
    )
    k: int = Field(
        _PERSONALIZE.k,
        ge=1,
        le=MAX_K,
        description="relations considered for a correction (the paper's K)",
    )
    facts: int = Field(
        _ANSWER.retrieval.facts, ge=1, le=50, description="the most facts that an answer rests on"
    )
    floor: float = Field(
        _ANSWER.retrieval.floor,
        ge=0,
        le=1,
        description="how near a query must be to what taught a personal fact; 0 is the model's own",
    )
    max_removed: int = Field(
        _PERSONALIZE.max_removed,
        ge=0,
        le=1000,
        description="the most triples that one correction removes",
    )
    scored_mass: float = Field(
        _PERSONALIZE.budget.mass,
        gt=0,
        le=1,
        description="retrieval mass after which no more triples are scored",
    )
    max_scored_triples: int = Field(
        0,
        ge=0,
        le=MAX_SCORED_TRIPLES,
        description="the most triples scored; "
        f"0 is {defaults.PROCESSOR_SCORED_TRIPLES} on a processor"
        f" and {defaults.GPU_SCORED_TRIPLES} on a GPU",
    )
    normalization: Literal["mean", "sum"] = Field(
        _ANSWER.normalization,
        description="a text's log-probability: the mean over its tokens, or their sum",
    )
    max_tokens: int = Field(
        _ANSWER.max_tokens,
        ge=1,
        le=MAX_TOKENS,
        description="the longest answer in tokens, unless the request says otherwise",
    )
    grace_s: float = Field(
        10.0, ge=0, le=600, description="seconds that requests in flight get after SIGTERM"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what the log shows"
    )

    @field_validator("vocabulary")
    @classmethod
    def _expand_vocabulary(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @model_validator(mode="before")
    @classmethod
    def _named_by_one_variable(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take the address from KGT_SERVER, the clients' variable, too. A flag comes first."""
        if given.get("address") not in (None, os.environ.get(VARIABLES[0])):
            return given
        named = named_address(os.environ)
        return given if named is None else {**given, "address": named}

    @field_validator("model")
    @classmethod
    def _model_address(cls, value: str) -> str:
        if ModelAddress.is_meant(value):
            ModelAddress.parse(value)
        return value

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        return Address.parse(value).text

    @model_validator(mode="after")
    def _loopback_unless_allowed(self) -> Settings:
        proved = self.auth != "none" and self.tls_files is not None
        if not (proved or self.insecure_bind or Address.parse(self.address).is_loopback):
            raise ValueError(
                f"address {self.address} can be reached from other machines, so callers have to"
                " prove who they are, over TLS: set KGT_AUTH and KGT_TLS_CERTIFICATE, or use"
                " 127.0.0.1. KGT_INSECURE_BIND=1 allows it without"
            )
        return self

    @model_validator(mode="after")
    def _model_encrypted_unless_allowed(self) -> Settings:
        remote = self.remote_model
        if remote and not (remote.is_encrypted or remote.is_loopback or self.insecure_model):
            raise ValueError(
                "KGT_MODEL: what users write, and the key, would travel unencrypted to another"
                " machine. Use openai+https://, or set KGT_INSECURE_MODEL=1 to allow it"
            )
        return self

    @property
    def remote_model(self) -> ModelAddress | None:
        """The address of a model on another server; None for one on this machine."""
        return ModelAddress.parse(self.model) if ModelAddress.is_meant(self.model) else None

    @model_validator(mode="after")
    def _login_where_needed(self) -> Settings:
        try:
            self.neo4j_login  # noqa: B018 - checked here, once
        except InvalidSetting as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def host(self) -> str:
        """The host of the address, as it is written there."""
        return self.address.rpartition(":")[0]


def read_settings(arguments: list[str]) -> Settings:
    """Read flags and environment. Raises InvalidSetting, which names every wrong setting."""
    try:
        return CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_complaint(e) for e in error.errors())) from error


def _complaint(error: object) -> str:
    assert isinstance(error, dict)
    name = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"KGT_{name.upper()}: {message}" if name else message
