from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# A run in a shell's background has SIGINT ignored, and so would the programs started here: they are tested interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Other work on the machine must not fail a test, and a run must not differ from the one before it.
settings.register_profile(
    "netdebug", deadline=None, derandomize=True, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
# `make fuzz`: as many inputs as it says, others each time.
settings.register_profile(
    "fuzz",
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("FUZZ") or 100_000),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz" if os.environ.get("FUZZ") else "netdebug")
