"""The model's defaults, without torch: the settings and their help name them too."""

from __future__ import annotations

from server.tuning.scoring import ScoringBudget

QUEUE = 256
"""Requests that may wait for the model."""

PROCESSOR_TOKENS, GPU_TOKENS = 1024, 16_384
"""Tokens in one forward pass, of all requests together.

A processor's time grows with the tokens, and everybody waits for the pass under way: with 2048, an
Answer next to a large correction takes two to three times as long (docs/performance.md).
"""

PROMPT_SHARE = 0.5
"""The share of a pass's tokens that prompts get while any text is written."""

PROCESSOR_SCORED_TRIPLES, GPU_SCORED_TRIPLES = ScoringBudget().triples, 512
"""The most triples that one request has scored."""
