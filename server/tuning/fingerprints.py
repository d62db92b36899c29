"""Fingerprints of all that an answer depends on, besides the user's overlay."""

from __future__ import annotations

from server.graph.relation import Vocabulary
from server.tuning import templates
from server.tuning.ports import GraphStore, LanguageModel


def fingerprints(store: GraphStore, model: LanguageModel, vocabulary: Vocabulary) -> dict[str, str]:
    """The fingerprints, by their names in the contract."""
    return {
        "model": model.fingerprint,
        "adapter": model.adapter_fingerprint,
        "templates": templates.FINGERPRINT,
        "vocabulary": vocabulary.fingerprint,
        "base_graph": store.base_fingerprint,
    }
