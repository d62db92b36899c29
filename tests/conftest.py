"""What tests of several packages share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No property is about time: a busy machine must not fail it.
settings.register_profile("kgt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kgt")
