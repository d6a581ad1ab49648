"""
The body that goes to the upstream: what the client sent, with the few fields set that the contract lists (M12, K10).

Everything else keeps its meaning, its order and the spelling of its numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import dump
from tuckshop.protocols.openai.body import BodyFacts

Profile = Literal["openai", "compatible"]
CapField = Literal["max_tokens", "max_completion_tokens"]


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written into a body."""

    profile: Profile
    model: str  # the resolved name, without upstream prefix
    cap: int | None = (
        None  # output tokens granted per choice; None: nothing is generated, or the wish stands
    )
    # The field in which the model takes a cap, where the body names none and the endpoint has several.
    cap_field: CapField | None = None
    pseudonym: str | None = (
        None  # of the member, for the identity field; None: the upstream is told nobody
    )


_CACHE_KEY_MAX: Final = 64  # characters that the provider takes in `prompt_cache_key`
_CACHE_PREFIX_MAX: Final = 31  # of the pseudonym; a dash follows


def rewrite(
    endpoint: Endpoint,
    tree: Mapping[str, Any],
    facts: BodyFacts,
    how: Rewriting,
    *,
    is_changed: bool = False,
) -> bytes | None:
    """
    The body to send for *tree*, or None where the client's own bytes say just that.

    Args:
        is_changed: *tree* says something else than these bytes already.
    """
    sent = {name: value for name, value in tree.items() if name not in endpoint.dropped}
    sent["model"] = how.model
    if endpoint.generates:
        _set_cap(sent, endpoint, facts, how)
        _set_tier_and_store(sent, endpoint, how.profile)
        if facts.stream and not facts.wants_usage and endpoint.events == "chunks":
            sent["stream_options"] = {**(sent.get("stream_options") or {}), "include_usage": True}
    _set_identity(sent, endpoint, profile=how.profile, pseudonym=how.pseudonym)
    return None if sent == tree and not is_changed else dump(sent)


def _set_cap(
    sent: dict[str, Any],
    endpoint: Endpoint,
    facts: BodyFacts,
    how: Rewriting,
) -> None:
    wanted, cap = facts.cap_wanted, how.cap
    least = wanted if cap is None else cap if wanted is None else min(wanted, cap)
    known = endpoint.cap_fields
    if how.profile == "compatible" and "max_tokens" in known:
        # Such a server may know only the older field, and one that it does not know caps nothing.
        for name in known:
            if name != "max_tokens":
                sent.pop(name, None)
        if least is not None:
            sent["max_tokens"] = least
        return
    if least is None:
        return
    fields = facts.cap_fields or (how.cap_field if how.cap_field in known else known[0],)
    for name in known:
        if name in fields:
            sent[name] = least


def _set_tier_and_store(sent: dict[str, Any], endpoint: Endpoint, profile: Profile) -> None:
    if profile == "compatible":
        sent.pop("service_tier", None)
        sent.pop("store", None)
        return
    if "service_tier" in endpoint.parameters:
        # Absent would mean the project's setting, which may be a dearer one.
        sent["service_tier"] = "default"
    if endpoint.stores_unasked:
        sent["store"] = False


def _set_identity(
    sent: dict[str, Any], endpoint: Endpoint, *, profile: Profile, pseudonym: str | None
) -> None:
    """Replace whatever the client says of itself."""
    for name in ("user", "safety_identifier"):
        sent.pop(name, None)
    field = endpoint.identity_field
    if field == "safety_identifier" and profile == "compatible":
        field = None
    if field is not None and pseudonym is not None:
        sent[field] = pseudonym
    key = sent.pop("prompt_cache_key", None)
    if key is not None and pseudonym is not None:
        sent["prompt_cache_key"] = _own_cache_key(key, pseudonym)


def _own_cache_key(key: str, pseudonym: str) -> str:
    """*key* behind the pseudonym, so that no two members share one; a long key by its digest."""
    prefix = pseudonym[:_CACHE_PREFIX_MAX] + "-"
    if len(prefix) + len(key) > _CACHE_KEY_MAX:
        key = hashlib.sha256(key.encode()).hexdigest()[: _CACHE_KEY_MAX - len(prefix)]
    return prefix + key
