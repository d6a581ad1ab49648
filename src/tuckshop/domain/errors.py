"""
What tuckshop raises on purpose: one shallow tree.

A refusal carries facts; the faces make the sentence. The class name is the contract's `error.code` in CamelCase,
and clients match on the code, so it is never reworded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # errors are wanted where nothing of a call is, as by every command
    from datetime import datetime

    from tuckshop.domain.reservation import LimitState


class TuckshopError(Exception):
    """Root of everything tuckshop raises on purpose."""


class SettingsError(TuckshopError):
    """A setting is unknown or has a bad value; says which, where it came from and what was expected."""


class StoreError(TuckshopError):
    """The data folder or database cannot be used as it is; says why and how to mend it."""


class StaleDirectoryError(TuckshopError):
    """The directory changed since the call was identified: identify it again."""


class RoughBoundError(TuckshopError):
    """With the rough input bound the hold does not fit as asked for: count the input exactly and reserve again."""


# ── admin side: problem+json ──────────────────────────────────────────────────────────────────────────────────────


class NotFoundError(TuckshopError):
    """No such group, member, key or request. Carries what was looked for."""


class ConflictError(TuckshopError):
    """It cannot be done in the present state: a name that is taken, a key that is revoked."""


class NotPermittedError(TuckshopError):
    """The caller may not do this; says whose leave it needs."""


class TooOftenError(TuckshopError):
    """It was done as often as it may be for now."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GoneError(TuckshopError):
    """It was there and is over for good: a link that was opened, replaced or is too old."""


class StaleVersionError(TuckshopError):
    """A change is based on a version that is no longer the present one."""


class InvalidFieldError(TuckshopError):
    """A field of the admin API has a value that cannot be taken."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class InvalidFieldsError(TuckshopError):
    """One or more fields of a change cannot be taken, so none of it is."""

    def __init__(self, errors: tuple[InvalidFieldError, ...]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors


# ── data plane: refusals in the wire format of the protocol spoken ────────────────────────────────────────────────


class RefusalError(TuckshopError):
    """A request that may not pass."""

    code: ClassVar[str]
    status: ClassVar[int]
    param: str | None = None


class InvalidApiKeyError(RefusalError):
    """No key, a malformed or unknown one, or two that differ."""

    code, status = "invalid_api_key", 401

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyRevokedError(RefusalError):
    """The key was revoked."""

    code, status = "key_revoked", 401


class KeyExpiredError(RefusalError):
    """The key's time is over."""

    code, status = "key_expired", 401


class KeyArchivedError(RefusalError):
    """The key, its member or its group was archived."""

    code, status = "key_archived", 401


class KeyPausedError(RefusalError):
    """The key is paused."""

    code, status = "key_paused", 403


class MemberPausedError(RefusalError):
    """The member is paused."""

    code, status = "member_paused", 403


class GroupPausedError(RefusalError):
    """The group is paused."""

    code, status = "group_paused", 403


class NotFoundRefusalError(RefusalError):
    """No such path. Carries the path that was meant, where that can be told, and what is served."""

    code, status = "not_found", 404

    def __init__(
        self, path: str, *, meant: str | None, reason: str | None, served: tuple[str, ...]
    ) -> None:
        super().__init__(path)
        self.path = path
        self.meant = meant
        self.reason = reason
        self.served = served


class MethodNotAllowedError(RefusalError):
    """The path is served, by other methods."""

    code, status = "method_not_allowed", 405

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} {path}")
        self.method = method
        self.path = path
        self.allowed = allowed


class EndpointNotAllowedError(RefusalError):
    """The policy does not open this endpoint."""

    code, status = "endpoint_not_allowed", 403

    def __init__(self, endpoint: str, allowed: tuple[str, ...]) -> None:
        super().__init__(endpoint)
        self.endpoint = endpoint
        self.allowed = allowed


class ModelNotAllowedError(RefusalError):
    """The policy does not open this model."""

    code, status = "model_not_allowed", 403
    param = "model"

    def __init__(self, model: str, allowed: tuple[str, ...]) -> None:
        super().__init__(model)
        self.model = model
        self.allowed = allowed


class ModelNotFoundError(RefusalError):
    """The policy would allow it, but no upstream and no price list knows it."""

    code, status = "model_not_found", 404
    param = "model"

    def __init__(self, model: str, nearest: str | None) -> None:
        super().__init__(model)
        self.model = model
        self.nearest = nearest


class ModelNotPricedError(RefusalError):
    """Known, but nobody can say what it costs (M9)."""

    code, status = "model_not_priced", 403
    param = "model"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ParameterNotAllowedError(RefusalError):
    """A parameter, a tool or a value that may not be used."""

    code, status = "parameter_not_allowed", 400

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"{param}: {reason}")
        self.param = param
        self.reason = reason


class InsufficientQuotaError(RefusalError):
    """What is *used* leaves no room in a money limit. Retrying sooner is no use."""

    code, status = "insufficient_quota", 429

    def __init__(self, state: LimitState) -> None:
        super().__init__(str(state.limit))
        self.state = state


class RateLimitExceededError(RefusalError):
    """A request, token, image or concurrency limit is full, or what is missing is only held, after the wait."""

    code, status = "rate_limit_exceeded", 429

    def __init__(
        self,
        *,
        state: LimitState | None,
        retry_after_s: float,
        held_by: int = 0,
        flood: bool = False,
    ) -> None:
        super().__init__(str(state.limit) if state else "flood")
        self.state = state
        self.retry_after_s = retry_after_s
        self.held_by = held_by  # running calls that hold what is missing; 0: it is used, not held
        self.flood = flood  # the anti-flood rate of one key, no limit of the policy


class RequestExceedsLimitError(RefusalError):
    """More tokens than the limit would take if it were empty."""

    code, status = "request_exceeds_limit", 400

    def __init__(self, *, state: LimitState, needed: int) -> None:
        super().__init__(str(state.limit))
        self.state = state
        self.needed = needed


class DeniedContentError(RefusalError):
    """Something in the body is on the group's list of words or patterns. Carries where, not what."""

    code, status = "denied_content", 400

    def __init__(self, param: str) -> None:
        super().__init__(param)
        self.param = param or None


class PersonalDataError(RefusalError):
    """The body holds personal data that the group's calls may not send. Carries kinds and where, not what."""

    code, status = "personal_data", 400

    def __init__(self, kinds: tuple[str, ...], param: str) -> None:
        super().__init__(", ".join(kinds))
        self.kinds = kinds
        self.param = param or None


class InputTooLongError(RefusalError):
    """More input than a call of the group may have."""

    code, status = "input_too_long", 400

    def __init__(self, tokens: int, most: int) -> None:
        super().__init__(f"{tokens} > {most}")
        self.tokens = tokens
        self.most = most


class SystemMessageNotAllowedError(RefusalError):
    """The group alone tells the model what it is there for."""

    code, status = "system_message_not_allowed", 400

    def __init__(self, param: str) -> None:
        super().__init__(param)
        self.param = param


class OutsideHoursError(RefusalError):
    """The group's calls are open at other hours."""

    code, status = "outside_hours", 403

    def __init__(self, hours: tuple[str, ...], opens_at: datetime | None, zone: str) -> None:
        super().__init__(", ".join(hours))
        self.hours = hours
        self.opens_at = opens_at  # by the clocks of the zone; None: never
        self.zone = zone


class NetworkNotAllowedError(RefusalError):
    """The group's calls may not come from there."""

    code, status = "network_not_allowed", 403


class ModerationBlockedError(RefusalError):
    """A check found something in what is asked, or in the answer. The same again is no use."""

    code, status = "moderation_blocked", 400

    def __init__(
        self, categories: tuple[str, ...], param: str | None = None, *, is_answer: bool = False
    ) -> None:
        super().__init__(", ".join(categories))
        self.categories = categories
        self.param = param  # where it stands; None: in several places together
        self.is_answer = is_answer  # found in the answer, which is charged


class InvalidRequestBodyError(RefusalError):
    """Not JSON, ambiguous JSON, wrong types, too deep."""

    code, status = "invalid_request_body", 400

    def __init__(self, reason: str, param: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.param = param


class RequestTooLargeError(RefusalError):
    """The body is larger than this endpoint takes."""

    code, status = "request_too_large", 413

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class UnsupportedContentEncodingError(RefusalError):
    """A content coding on the request body."""

    code, status = "unsupported_content_encoding", 415

    def __init__(self, coding: str) -> None:
        super().__init__(coding)
        self.coding = coding


class InvalidRequestError(RefusalError):
    """Framing, a header or a target that is not clean HTTP. The connection is closed."""

    code, status = "invalid_request", 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestTimeoutError(RefusalError):
    """The head or the body came too slowly. The connection is closed."""

    code, status = "request_timeout", 408

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class UpstreamUnavailableError(RefusalError):
    """The upstream refused, failed, or is out of its own money. `retryable` False: retrying is no use."""

    code, status = "upstream_unavailable", 502

    def __init__(self, *, retryable: bool = True) -> None:
        super().__init__("upstream unavailable")
        self.retryable = retryable


class UpstreamTimeoutError(RefusalError):
    """The upstream did not answer in time."""

    code, status = "upstream_timeout", 504


class UpstreamOverloadedError(RefusalError):
    """The upstream says 429, 503 or 529."""

    code, status = "upstream_overloaded", 503

    def __init__(
        self, *, retry_after: str | None = None, retry_after_ms: str | None = None
    ) -> None:
        super().__init__("upstream overloaded")
        self.retry_after = retry_after  # as the upstream wrote it
        self.retry_after_ms = retry_after_ms


class ServerBusyError(RefusalError):
    """
    Shutting down, too many waiting, or ledger, disk or clock not fit. `retryable` False: the call was answered and
    is charged, and so would be the next one.
    """

    code, status = "server_busy", 503

    def __init__(self, reason: str, retry_after_s: float = 5, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.retryable = retryable
