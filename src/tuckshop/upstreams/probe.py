"""
Trying an upstream: a real call that costs nothing, the list of its models, over the way that calls take.

What comes back is told in words of our own: an upstream's text may quote the credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tuckshop.upstreams.asking import Answer, Problem, ask
from tuckshop.upstreams.registry import Upstream

PROBE_TIMEOUT_S: Final = 10.0
BODY_MAX_BYTES: Final = 4 << 20

ProbeResult = Literal[
    "ok",
    "no_credential",  # it has none, so nothing was asked
    "credential_refused",  # 401 or 403
    "out_of_money_or_rate",  # 429
    "wrong_path",  # 404 or 405, or an answer that is no list of models
    "upstream_error",  # any other status
    "dns",
    "tls",
    "refused",  # no connection
    "forbidden",  # an address that must not be dialled
    "timeout",
    "broken",  # the answer broke off, or is not HTTP
]
_BY_PROBLEM: Final[dict[Problem, ProbeResult]] = {
    "no_credential": "no_credential",
    "dns": "dns",
    "tls": "tls",
    "refused": "refused",
    "forbidden": "forbidden",
    "connect_timeout": "timeout",
    "deadline": "timeout",
    "timeout": "timeout",
    "reset": "broken",
    "protocol": "broken",
    "too_long": "wrong_path",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of it."""

    result: ProbeResult
    status: int | None = None  # of the upstream's answer
    models: int | None = None  # how many it lists


class _Listed(msgspec.Struct):
    """A list of models, as far as it is counted."""

    data: list[msgspec.Raw]


async def probe(upstream: Upstream) -> Probe:
    """Ask *upstream* for its models with its own credential."""
    answer = await ask(
        upstream, "GET", "/models", max_bytes=BODY_MAX_BYTES, timeout_s=PROBE_TIMEOUT_S
    )
    if not isinstance(answer, Answer):
        return Probe(result=_BY_PROBLEM[answer])
    return _judged(answer.status, answer.body)


def _judged(status: int, body: bytes) -> Probe:
    if status in (401, 403):
        return Probe(result="credential_refused", status=status)
    if status == 429:
        return Probe(result="out_of_money_or_rate", status=status)
    if status in (404, 405):
        return Probe(result="wrong_path", status=status)
    if status != 200:
        return Probe(result="upstream_error", status=status)
    try:
        listed = msgspec.json.decode(body, type=_Listed)
    except msgspec.DecodeError:
        return Probe(result="wrong_path", status=status)
    return Probe(result="ok", status=status, models=len(listed.data))
