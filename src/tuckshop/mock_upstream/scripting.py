"""Which script a request meets: by its model's name, by its markers, or by what a test has queued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tuckshop.mock_upstream.errors import unknown_model, wrong_value
from tuckshop.mock_upstream.faults import FAULTS
from tuckshop.mock_upstream.markers import number
from tuckshop.mock_upstream.script import Script
from tuckshop.mock_upstream.state import State

SLOW_TOKENS_PER_SECOND: Final = 20.0
# Scripted models beside `fault-…`. A list for the manual, checked by a test.
MOCK_MODELS: Final = {
    "mock-slow": "answers at 20 tokens per second",
    "mock-lockstep": "sends each event of a stream after the first only when POST /_mock/next says so",
    "mock-plain": "answers like gpt-4o-mini",
}
_PREFIX: Final = "fault-"


def script_for(
    state: State,
    healthy: Script,
    model: str,
    markers: dict[str, str],
    client_id: str | None,
) -> Script:
    """
    The script for a request; *healthy* itself where nothing is asked for.

    Raises:
        ApiError: There is no such script.
    """
    queued = state.queued_faults
    if not markers and not queued and not model.startswith(("mock-", _PREFIX)):
        return healthy
    script = _fault(state, healthy, model, markers, client_id)
    changes: dict[str, Any] = {}
    if model == "mock-slow":
        changes["tokens_per_second"] = SLOW_TOKENS_PER_SECOND
    if model == "mock-lockstep" or "lockstep" in markers:
        changes["lockstep"] = True
    if (speed := number(markers, "speed")) is not None:
        changes["tokens_per_second"] = speed
    if (delay := number(markers, "first-token-ms")) is not None:
        changes["first_delay_s"] = delay / 1000
    if (at := number(markers, "at")) is not None:
        changes["at"] = int(at)
    return replace(script, **changes) if changes else script


def _fault(
    state: State,
    healthy: Script,
    model: str,
    markers: dict[str, str],
    client_id: str | None,
) -> Script:
    if state.queued_faults:
        name = state.queued_faults.popleft()
    elif model.startswith(_PREFIX):
        name = model.removeprefix(_PREFIX)
        if name not in FAULTS:
            raise unknown_model(model)
    elif (asked := markers.get("fault")) is not None:
        name = asked
        if name not in FAULTS:
            raise wrong_value("messages", f"There is no fault {name!r}.")
        times = number(markers, "times")
        if times is not None and not state.meets_fault(client_id or "", int(times)):
            return healthy
    elif model.startswith("mock-") and model not in MOCK_MODELS:
        raise unknown_model(model)
    else:
        return healthy
    script = FAULTS[name].script
    return replace(
        script,
        tokens_per_second=healthy.tokens_per_second,
        first_delay_s=script.first_delay_s or healthy.first_delay_s,
    )
