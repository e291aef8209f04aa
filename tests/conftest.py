from __future__ import annotations

from hypothesis import HealthCheck, settings

# Other work on the machine must not fail a test, and a run must not differ from the one before it.
settings.register_profile(
    "netdebug", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("netdebug")
