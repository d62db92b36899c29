"""Small base graphs for tests and measurements."""

from __future__ import annotations

from server.stores.sqlite.base import BaseTriple as BaseTriple
from server.stores.sqlite.base import build_base as build_base
