"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test is timed: machines are shared, and one slow example says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
