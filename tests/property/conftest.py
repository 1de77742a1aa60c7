"""How hard the property tests look. A failure prints the blob that repeats it."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "shoal",
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "shoal"))
