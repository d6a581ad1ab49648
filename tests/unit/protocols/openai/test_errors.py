"""Refusals: the contract's table in OpenAI's format, in sentences that say what to do next (M15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.protocols.openai.states import NOW_US, state
from tuckshop.domain import errors
from tuckshop.domain.reservation import LimitState
from tuckshop.protocols.openai.errors import bad_tag, refusal, stream_error
from tuckshop.protocols.sentences import span

BUDGET = state("$0.20/month", used=199_000_000, reserved=500_000)
HIDDEN = state("$50/month", used=50_000_000_000, scope="group", visible=False)
RATE = state("35 requests/minute", used=35, resets_at_us=NOW_US + 12_000_000)

EVERY: tuple[errors.RefusalError, ...] = (
    errors.InvalidApiKeyError("there is no key in the Authorization header"),
    errors.KeyRevokedError(),
    errors.KeyExpiredError(),
    errors.KeyArchivedError(),
    errors.KeyPausedError(),
    errors.MemberPausedError(),
    errors.GroupPausedError(),
    errors.NotFoundRefusalError("/x", meant=None, reason=None, served=("POST /v1/embeddings",)),
    errors.MethodNotAllowedError("PUT", "/v1/embeddings", ("POST",)),
    errors.EndpointNotAllowedError("embeddings", ("chat",)),
    errors.ModelNotAllowedError("gpt-5", ("gpt-4o-mini",)),
    errors.ModelNotFoundError("gpt-4o-mimi", "gpt-4o-mini"),
    errors.ModelNotPricedError("gpt-9"),
    errors.ParameterNotAllowedError("tools[0].type", "web_search costs a fee"),
    errors.InsufficientQuotaError(BUDGET),
    errors.RateLimitExceededError(state=RATE, retry_after_s=11.2),
    errors.RequestExceedsLimitError(state=state("1600 tokens/minute"), needed=5000),
    errors.DeniedContentError("messages[0].content"),
    errors.PersonalDataError(("iban",), "messages[0].content"),
    errors.InputTooLongError(9_000, 8_000),
    errors.SystemMessageNotAllowedError("messages[0]"),
    errors.OutsideHoursError(("Mon-Fri 08:00-18:00",), None, "Europe/Berlin"),
    errors.NetworkNotAllowedError(),
    errors.ModerationBlockedError(("violence",), "messages[0].content"),
    errors.InvalidRequestBodyError("n has to be an integer", "n"),
    errors.RequestTooLargeError(4_194_304),
    errors.UnsupportedContentEncodingError("gzip"),
    errors.InvalidRequestError("the path holds %"),
    errors.RequestTimeoutError("head"),
    errors.UpstreamUnavailableError(),
    errors.UpstreamTimeoutError(),
    errors.UpstreamOverloadedError(),
    errors.ServerBusyError("the server is shutting down"),
)


def told(error: errors.RefusalError) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    _, headers, body = refusal(error, now_us=NOW_US, request_id="req_1")
    return json.loads(body)["error"], dict(headers)


def test_every_refusal_there_is_stands_in_this_list() -> None:
    assert {type(error) for error in EVERY} == set(errors.RefusalError.__subclasses__())


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.code)
def test_every_refusal_has_openais_shape_and_a_sentence_of_its_own(
    error: errors.RefusalError,
) -> None:
    status, headers, body = refusal(error, now_us=NOW_US, request_id="req_1")

    told = json.loads(body)
    assert list(told) == ["error"]
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert told["error"]["code"] == error.code
    assert told["error"]["message"] != f"{error}."
    assert told["error"]["message"].endswith(".")
    assert status == error.status
    assert (b"x-request-id", b"req_1") in headers
    assert (b"content-type", b"application/json") in headers


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InsufficientQuotaError(BUDGET), "insufficient_quota"),
        (errors.RateLimitExceededError(state=RATE, retry_after_s=1), "requests"),
        (errors.RateLimitExceededError(state=state("9 tokens/day"), retry_after_s=1), "tokens"),
        (errors.RateLimitExceededError(state=None, retry_after_s=1, flood=True), "requests"),
        (errors.ServerBusyError("x"), "server_error"),
        (errors.UpstreamTimeoutError(), "server_error"),
        (errors.KeyPausedError(), "invalid_request_error"),
        (errors.RequestExceedsLimitError(state=RATE, needed=5), "invalid_request_error"),
    ],
)
def test_the_type_follows_the_contract(error: errors.RefusalError, kind: str) -> None:
    assert told(error)[0]["type"] == kind


def test_a_spent_budget_says_which_used_held_left_and_when() -> None:
    error, headers = told(errors.InsufficientQuotaError(BUDGET))

    assert error["message"] == (
        "Your limit of $0.20/month leaves no room for this call: $0.199 used, $0.0005 held by running "
        "calls, $0.0005 left. It renews on 2026-12-01 at 00:00 (Europe/Berlin). Ask the people who gave "
        "you the key if you need more before then, or try a cheaper model or a shorter call."
    )
    assert headers[b"x-should-retry"] == b"false"
    assert headers[b"x-tuckshop-budget-remaining-usd"] == b"0.0005"
    assert b"retry-after" not in headers


@pytest.mark.parametrize(
    "error",
    [
        errors.InsufficientQuotaError(HIDDEN),
        errors.RateLimitExceededError(state=HIDDEN, retry_after_s=2, held_by=7),
        errors.RateLimitExceededError(state=HIDDEN, retry_after_s=5),
        errors.RequestExceedsLimitError(state=HIDDEN, needed=123),
    ],
)
def test_of_a_hidden_limit_only_scope_and_renewal_are_told(error: errors.RefusalError) -> None:
    fields, headers = told(error)

    assert "that your group shares" in fields["message"]
    assert "50" not in fields["message"]
    assert "7" not in fields["message"]
    assert not any(name.startswith((b"x-ratelimit", b"x-tuckshop-budget")) for name in headers)


def test_a_full_rate_says_when_to_come_back() -> None:
    error, headers = told(errors.RateLimitExceededError(state=RATE, retry_after_s=11.2))

    assert (
        "35 requests/minute is full: 35 used, 0 held by running calls, 0 left" in error["message"]
    )
    assert "Try again in 12 s." in error["message"]
    assert "2026-11-18 at 12:06:52 (Europe/Berlin)" in error["message"]
    assert headers[b"retry-after"] == b"12"
    assert headers[b"retry-after-ms"] == b"11200"
    assert headers[b"x-ratelimit-reset-requests"] == b"12s"
    assert b"x-should-retry" not in headers


def test_what_is_only_held_says_by_how_many_and_to_come_back_in_two_seconds() -> None:
    error, headers = told(errors.RateLimitExceededError(state=BUDGET, retry_after_s=90, held_by=3))

    assert "held by 3 running calls" in error["message"]
    assert error["code"] == "rate_limit_exceeded"
    assert headers[b"retry-after"] == b"2"
    assert b"x-should-retry" not in headers


def test_a_long_wait_must_not_provoke_a_retry() -> None:
    _, headers = told(errors.RateLimitExceededError(state=RATE, retry_after_s=61))

    assert headers[b"retry-after"] == b"61"
    assert headers[b"x-should-retry"] == b"false"


def test_more_than_a_limit_ever_takes_tells_both_numbers() -> None:
    error, _ = told(errors.RequestExceedsLimitError(state=state("1600 tokens/minute"), needed=5000))

    assert "5000" in error["message"]
    assert "1600" in error["message"]


def test_a_count_that_never_renews_promises_no_time() -> None:
    limit = state("5 requests total", used=5, resets_at_us=None)

    error, headers = told(errors.RateLimitExceededError(state=limit, retry_after_s=30 * 86_400.0))

    assert "does not renew by itself" in error["message"]
    assert "Try again" not in error["message"]
    assert headers[b"x-should-retry"] == b"false"


@pytest.mark.parametrize(
    ("limit", "resets_at_us", "expected"),
    [
        (state("$1 total", resets_at_us=None), None, "It does not renew by itself."),
        (
            state("4 concurrent requests", resets_at_us=None),
            None,
            "free again when a running call ends",
        ),
    ],
)
def test_what_never_renews_says_so(limit: LimitState, resets_at_us: None, expected: str) -> None:
    error = errors.RateLimitExceededError(state=limit, retry_after_s=1)

    assert expected in told(error)[0]["message"]


@pytest.mark.parametrize(
    ("meant", "reason", "expected"),
    [
        ("/v1/embeddings", None, "You meant /v1/embeddings"),
        (None, "it is not served yet", "/embeddings is not served: it is not served yet."),
        (None, None, "/embeddings is not served. Served are: POST /v1/embeddings."),
    ],
)
def test_a_wrong_path_names_the_one_that_was_meant_or_what_is_served(
    meant: str | None, reason: str | None, expected: str
) -> None:
    served = ("POST /v1/embeddings",)
    error = errors.NotFoundRefusalError("/embeddings", meant=meant, reason=reason, served=served)

    message = told(error)[0]["message"]

    assert expected in message
    assert "POST /v1/embeddings" in message


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (errors.UpstreamUnavailableError(), {}),
        (errors.UpstreamUnavailableError(retryable=False), {b"x-should-retry": b"false"}),
        (errors.UpstreamOverloadedError(retry_after="7"), {b"retry-after": b"7"}),
        (
            errors.UpstreamOverloadedError(retry_after="120", retry_after_ms="120000"),
            {b"retry-after": b"120", b"retry-after-ms": b"120000", b"x-should-retry": b"false"},
        ),
        (errors.UpstreamOverloadedError(retry_after="7\r\nx: y", retry_after_ms="soon"), {}),
        (errors.ServerBusyError("x", 5), {b"retry-after": b"5", b"retry-after-ms": b"5000"}),
        (errors.MethodNotAllowedError("PUT", "/v1/x", ("GET", "POST")), {b"allow": b"GET, POST"}),
    ],
)
def test_whether_to_try_again_is_told_to_client_libraries(
    error: errors.RefusalError, fields: dict[bytes, bytes]
) -> None:
    _, headers = told(error)

    advice = (b"retry-after", b"retry-after-ms", b"x-should-retry", b"allow")
    assert {name: value for name, value in headers.items() if name in advice} == fields


def test_what_the_client_sent_is_said_back_in_short() -> None:
    error, _ = told(errors.ParameterNotAllowedError("x" * 5000, "no"))

    assert len(error["message"]) < 300
    assert len(error["param"]) <= 128


def test_text_that_no_encoding_carries_is_still_answered() -> None:
    error = errors.NotFoundRefusalError("/\ud800", meant=None, reason=None, served=())

    assert told(error)[0]["code"] == "not_found"


def test_an_error_inside_a_stream_is_an_event_that_client_libraries_raise_on() -> None:
    event = stream_error(errors.KeyRevokedError())

    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event[6:])["error"]["code"] == "key_revoked"


def test_a_bad_tag_says_what_a_tag_is() -> None:
    assert "64 characters" in told(bad_tag(64))[0]["message"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (120, "120 s"), (121, "3 min"), (7201, "3 h"), (172_801, "3 days")],
)
def test_a_span_is_said_as_people_say_it_and_never_too_short(seconds: float, text: str) -> None:
    assert span(seconds) == text
