"""
Refusals in sentences that a student understands: what is wrong, by how much, and what to do next.

The same in every protocol. Of limits whose amounts are not the holder's to see, only whose they are and when they
renew is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tuckshop.domain import errors
from tuckshop.domain.limits import Metric, Rolling
from tuckshop.domain.money import format_usd
from tuckshop.domain.reservation import LimitState, ScopeKind

_QUOTED_MAX: Final = 128  # characters of what the client sent that are said back to it
_NAMES_MAX: Final = 30  # names in a list of what is allowed
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_WHOSE: Final[Mapping[ScopeKind, str]] = {
    "key": "The limit of this key",
    "member": "Your limit",
    "group": "A limit that your group shares",
    "workspace": "A limit that all groups share",
    "upstream": "A limit of the account at the provider",
}
_ASK: Final = "Ask the people who gave you the key"


def sentence(error: errors.RefusalError) -> str:
    """What *error* tells the one who is refused."""
    wording = _WORDINGS.get(type(error))
    return wording(error) if wording is not None else f"{error}."


def quoted(text: str) -> str:
    """*text* from a client, short enough to be said back."""
    return text if len(text) <= _QUOTED_MAX else text[: _QUOTED_MAX - 1] + "…"


def span(seconds: float) -> str:
    """*seconds* as people say it, never less than it is: ``12 s``, ``3 min``, ``5 h``, ``8 days``."""
    for unit_s, below, unit in ((1, 120, "s"), (60, 7200, "min"), (3600, 172_800, "h")):
        if seconds <= below:
            return f"{-int(-seconds // unit_s)} {unit}"
    return f"{-int(-seconds // 86_400)} days"


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _no_quota(error: errors.InsufficientQuotaError) -> str:
    state = error.state
    return (
        f"{_limit(state)} leaves no room for this call{_standing(state)}. {_renewal(state)} "
        f"{_ASK} if you need more before then, or try a cheaper model or a shorter call."
    )


def _rate(error: errors.RateLimitExceededError) -> str:
    state = error.state
    if state is None or error.flood:
        return "This key sends more requests than this server takes from one key. Slow down."
    if error.held_by:
        calls = f"{error.held_by} running call{'s' if error.held_by > 1 else ''}"
        return (
            f"What {_limit(state, within=True)} has left is held by "
            f"{calls if state.amounts_visible else 'running calls'}{_standing(state)}. "
            "Try again when one of them has ended."
        )
    if state.limit.window == "total":
        return f"{_limit(state)} is used up{_standing(state)}. {_renewal(state)} {_ASK} for more."
    return (
        f"{_limit(state)} is full{_standing(state)}. Try again in {span(error.retry_after_s)}. "
        f"{_renewal(state)}"
    )


def _exceeds(error: errors.RequestExceedsLimitError) -> str:
    state = error.state
    allowed = f", and it allows {state.limit.amount}" if state.amounts_visible else ""
    return (
        f"{_limit(state)} can never take this call: it may use up to {error.needed} "
        f"{state.limit.metric}{allowed}. Send less text, or ask for fewer output tokens."
    )


def _limit(state: LimitState, *, within: bool = False) -> str:
    whose = _WHOSE[state.scope.kind]
    if within:
        whose = whose[0].lower() + whose[1:]
    return f"{whose} of {state.limit}" if state.amounts_visible else whose


def _standing(state: LimitState) -> str:
    if not state.amounts_visible:
        return ""
    used, reserved, left = (
        format_usd(amount) if state.limit.metric is Metric.MONEY else str(amount)
        for amount in (state.used, state.reserved, state.remaining)
    )
    return f": {used} used, {reserved} held by running calls, {left} left"


def _renewal(state: LimitState) -> str:
    if state.limit.window == "now":
        return "It is free again when a running call ends."
    if state.resets_at_us is None:
        return "It does not renew by itself."
    at = (_EPOCH + timedelta(microseconds=state.resets_at_us)).astimezone(ZoneInfo(state.zone_name))
    if isinstance(state.limit.window, Rolling):
        return f"All of it is free again on {at:%Y-%m-%d at %H:%M:%S} ({state.zone_name})."
    return f"It renews on {at:%Y-%m-%d at %H:%M} ({state.zone_name})."


# ── what is not open, not there, not right ────────────────────────────────────────────────────────────────────────


def _not_found(error: errors.NotFoundRefusalError) -> str:
    served = f"Served are: {', '.join(error.served)}."
    if error.meant is not None:
        return (
            f"There is no {quoted(error.path)} here. You meant {error.meant}: the base URL of a client "
            f"ends in /v1, once. {served}"
        )
    reason = f": {error.reason}" if error.reason else ""
    return f"{quoted(error.path)} is not served{reason}. {served}"


def _method(error: errors.MethodNotAllowedError) -> str:
    allowed = " or ".join(error.allowed)
    return f"{quoted(error.path)} takes {allowed}, not {quoted(error.method)}."


def _endpoint(error: errors.EndpointNotAllowedError) -> str:
    return f"The endpoint group {error.endpoint} is not open to you. {_open_to_you(error.allowed)}"


def _model(error: errors.ModelNotAllowedError) -> str:
    return f"The model {quoted(error.model)} is not open to you. {_open_to_you(error.allowed)}"


def _open_to_you(names: Sequence[str]) -> str:
    if not names:
        return f"Nothing of the kind is. {_ASK}."
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return f"You may use: {', '.join(names[:_NAMES_MAX])}{more}."


def _unknown_model(error: errors.ModelNotFoundError) -> str:
    hint = f"Did you mean {error.nearest}? " if error.nearest else ""
    return (
        f"The model {quoted(error.model)} does not exist here. {hint}"
        "GET /v1/models lists what you may use."
    )


def _unpriced(error: errors.ModelNotPricedError) -> str:
    return (
        f"Nobody has said yet what {quoted(error.model)} costs, so it cannot be used. {_ASK} to set "
        "its price, or use another model."
    )


def _parameter(error: errors.ParameterNotAllowedError) -> str:
    return f"{quoted(error.param or '')} may not be used: {error.reason}. Leave it out."


# What the provider's categories mean, in words that accuse nobody.
_CATEGORIES: Final[Mapping[str, str]] = {
    "harassment": "harassment",
    "harassment/threatening": "threats",
    "hate": "hate",
    "hate/threatening": "hate with threats",
    "illicit": "help with something illegal",
    "illicit/violent": "help with violence",
    "self-harm": "self-harm",
    "self-harm/instructions": "instructions for self-harm",
    "self-harm/intent": "the wish to harm oneself",
    "sexual": "sexual content",
    "sexual/minors": "sexual content about minors",
    "violence": "violence",
    "violence/graphic": "violence in detail",
}
_HELP: Final = (
    " If it is about you: you are not alone, and talking helps; https://findahelpline.com lists people who listen, in"
    " many countries and languages."
)


def _moderated(error: errors.ModerationBlockedError) -> str:
    found = ", ".join(
        f"{_CATEGORIES[name]} ({name})" if name in _CATEGORIES else name
        for name in error.categories
    )
    place = f", in {quoted(error.param)}" if error.param else ""
    if error.is_answer:
        return (
            f"The answer was not passed on, or not to its end. An automatic check takes it for {found}. What the model"
            f" has written is charged. Such checks err: {_ASK[0].lower()}{_ASK[1:]} if this one does."
        )
    is_sad = any(name.startswith("self-harm") for name in error.categories)
    return (
        f"This was not passed on. An automatic check takes it for {found}{place}. The same again ends the same; say it"
        f" in other words, or leave that part out of the conversation. Such checks err: {_ASK[0].lower()}{_ASK[1:]} if"
        f" this one does.{_HELP if is_sad else ''}"
    )


def _body(error: errors.InvalidRequestBodyError) -> str:
    return f"The body cannot be taken: {error.reason}. Mend it and send it again."


def _too_large(error: errors.RequestTooLargeError) -> str:
    return f"The request is larger than the {error.max_bytes} bytes that are taken here. Send less."


def _coding(error: errors.UnsupportedContentEncodingError) -> str:
    return (
        f"Bodies with the content coding {quoted(error.coding)} are not read. Send the body as it is, "
        "without a Content-Encoding."
    )


def _busy(error: errors.ServerBusyError) -> str:
    if not error.retryable:
        return f"The answer cannot be passed on: {error.reason}."
    return (
        f"This server cannot take the call now: {error.reason}. Try again in "
        f"{span(error.retry_after_s)}."
    )


def _unavailable(error: errors.UpstreamUnavailableError) -> str:
    if error.retryable:
        return "The provider did not answer this call properly. Try again in a moment."
    return (
        "The provider refuses this server's account. That is not about your key or your budget, and "
        "trying again is no use until it is mended: tell the people who gave you the key."
    )


def _where(param: str | None) -> str:
    return f"Something in {quoted(param)}" if param else "Something in the body"


def _denied(error: errors.DeniedContentError) -> str:
    return (
        f"{_where(error.param)} is on a list of what your group does not send. Ask something else, or "
        "ask the people who gave you the key if it belongs to your work."
    )


_PII: Final[Mapping[str, str]] = {
    "credit_card": "a card number",
    "email": "an e-mail address",
    "iban": "a bank account (IBAN)",
    "phone": "a phone number",
}


def _personal(error: errors.PersonalDataError) -> str:
    kinds = " and ".join(_PII.get(kind, kind) for kind in error.kinds)
    return (
        f"{_where(error.param)} looks like {kinds}, which your group does not send to the provider. "
        "Take it out, or write something made up in its place."
    )


def _too_long(error: errors.InputTooLongError) -> str:
    return (
        f"This call may have up to {error.tokens:,} input tokens, and your group sends {error.most:,} at "
        "most. Send less text, or begin a new conversation."
    )


def _system(error: errors.SystemMessageNotAllowedError) -> str:
    return (
        f"{quoted(error.param or '')} may not be used: your group itself tells the model what it is there "
        "for. Leave it out, and say what you want in a message of yours."
    )


def _closed(error: errors.OutsideHoursError) -> str:
    if error.opens_at is None:
        return f"Your group's calls are closed. {_ASK} when they open."
    return (
        f"Your group's calls are open {'; '.join(error.hours[:8])} ({error.zone}). Try again on "
        f"{error.opens_at:%Y-%m-%d at %H:%M}."
    )


def _says(text: str) -> Callable[[Any], str]:
    return lambda _: text


_WORDINGS: Final[Mapping[type[errors.RefusalError], Callable[[Any], str]]] = {
    errors.InvalidApiKeyError: lambda e: (
        f"You are not let in: {e.reason}. Send your key as `Authorization: Bearer sk-tuck-…`."
    ),
    errors.KeyRevokedError: _says(f"This key was revoked. {_ASK} for a new one."),
    errors.KeyExpiredError: _says(f"The time of this key is over. {_ASK} for a new one."),
    errors.KeyArchivedError: _says(f"This key is out of use. {_ASK} for a new one."),
    errors.KeyPausedError: _says(f"This key is paused. {_ASK} to resume it."),
    errors.MemberPausedError: _says(f"You are paused here. {_ASK} to resume you."),
    errors.GroupPausedError: _says(f"Your group is paused. {_ASK} to resume it."),
    errors.NotFoundRefusalError: _not_found,
    errors.MethodNotAllowedError: _method,
    errors.EndpointNotAllowedError: _endpoint,
    errors.ModelNotAllowedError: _model,
    errors.ModelNotFoundError: _unknown_model,
    errors.ModelNotPricedError: _unpriced,
    errors.ParameterNotAllowedError: _parameter,
    errors.InsufficientQuotaError: _no_quota,
    errors.RateLimitExceededError: _rate,
    errors.RequestExceedsLimitError: _exceeds,
    errors.DeniedContentError: _denied,
    errors.PersonalDataError: _personal,
    errors.InputTooLongError: _too_long,
    errors.SystemMessageNotAllowedError: _system,
    errors.OutsideHoursError: _closed,
    errors.NetworkNotAllowedError: _says(
        "Your group's calls may come from some networks only, and this is none of them. Use the network of "
        f"your institution, or its VPN. {_ASK} if you do."
    ),
    errors.ModerationBlockedError: _moderated,
    errors.InvalidRequestBodyError: _body,
    errors.RequestTooLargeError: _too_large,
    errors.UnsupportedContentEncodingError: _coding,
    errors.InvalidRequestError: lambda e: f"The request cannot be taken: {e.reason}.",
    errors.RequestTimeoutError: lambda e: f"The {e.what} came too slowly. Send it again.",
    errors.UpstreamUnavailableError: _unavailable,
    errors.UpstreamTimeoutError: _says(
        "The provider did not answer in time. Try again, or ask for a shorter answer."
    ),
    errors.UpstreamOverloadedError: _says(
        "The provider has more to do than it can take. Try again in a moment."
    ),
    errors.ServerBusyError: _busy,
}
