"""Where the graph is kept: the settings that the server shares with the loaders and the benches.

Each is an environment variable KGT_* and is read here only. `server.settings` adds the others.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.stores.neo4j.connection import DEFAULT_DATABASE, EMBEDDED, Neo4jLogin, checked_login


def xdg_data_folder() -> Path:
    """The service's folder among the user's data, by the XDG base directories."""
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")) / "kgt"


class StoreSettings(BaseSettings):
    """Which store holds the graph, and how to reach it."""

    model_config = SettingsConfigDict(
        env_prefix="KGT_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    store: str = Field(
        EMBEDDED, description="sqlite, or the address of a Neo4j: neo4j://127.0.0.1:7687"
    )
    data: Path = Field(
        default_factory=xdg_data_folder,
        validate_default=True,
        description="folder of the embedded store",
    )
    neo4j_user: str = Field("", description="the service's user in Neo4j; required with a Neo4j")
    neo4j_password: SecretStr | None = Field(
        None,
        description="that user's password; required with a Neo4j, safer as a variable than a flag",
    )
    neo4j_database: str = Field(
        DEFAULT_DATABASE, description="database in Neo4j, used by this service only"
    )

    @field_validator("data")
    @classmethod
    def _expand_data(cls, value: Path) -> Path:
        return value.expanduser()

    @property
    def neo4j_login(self) -> Neo4jLogin | None:
        """The address of the Neo4j and the service's login, or None with the embedded store.

        Raises InvalidSetting.
        """
        return None if self.store == EMBEDDED else self._login

    @property
    def _login(self) -> Neo4jLogin:
        password = self.neo4j_password.get_secret_value() if self.neo4j_password is not None else ""
        return checked_login(self.store, self.neo4j_user, password, self.neo4j_database)


def login_from_environment(store: str) -> Neo4jLogin:
    """The login at the Neo4j `store`, which a flag named. Raises InvalidSetting."""
    return StoreSettings(store=store)._login
