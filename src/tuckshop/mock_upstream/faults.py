"""
The scripted faults, by name.

Each is a sentence for the manual (a test compares the two) and a `Script`. What a fault bills is what a provider
might: a reply that is cut or hidden was generated and is billed; one that is refused in the provider's own JSON is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tuckshop.mock_upstream.chat_answer import Answer
from tuckshop.mock_upstream.errors import error_body
from tuckshop.mock_upstream.script import Refusal, Script


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that can be asked for."""

    sentence: str
    script: Script


ORGANISATION: Final = "org-TUCKSHOPmockorganisation"
_HTML: Final = (
    b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n<center><h1>%b</h1></center>\r\n"
    b"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def _error(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    bills: bool = False,
) -> Script:
    body = error_body(message, kind, None, code)
    return Script(refusal=Refusal(status=status, body=body, headers=headers, bills=bills))


def _page(status: int, title: bytes) -> Script:
    return Script(
        refusal=Refusal(
            status=status, body=_HTML % (title, title), content_type="text/html", bills=True
        )
    )


_TOTALS: Final = (
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
)


def _each(usage: dict[str, Any], become: Callable[[int], Any]) -> dict[str, Any]:
    """*usage* with each of its totals become another."""
    return usage | {name: become(usage[name]) for name in _TOTALS if name in usage}


def _more_cached(usage: dict[str, Any]) -> dict[str, Any]:
    name = "prompt_tokens" if "prompt_tokens" in usage else "input_tokens"
    return usage | {f"{name}_details": {"cached_tokens": usage[name] + 1}}


# What `usage` holds instead of the truth; a function of the true object.
ODD_USAGE: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "null": lambda usage: None,
    "zero": lambda usage: _each(usage, lambda count: 0),
    "negative": lambda usage: _each(usage, lambda count: -count),
    "huge": lambda usage: _each(usage, lambda count: 10**15),
    "beyond-64-bit": lambda usage: _each(usage, lambda count: 10**30),
    "strings": lambda usage: _each(usage, str),
    "fractions": lambda usage: _each(usage, lambda count: count + 0.5),
    "cached-above-input": _more_cached,
    "no-details": lambda usage: {name: usage[name] for name in _TOTALS if name in usage},
    "a-list": lambda usage: [usage],
}
_RATE_LIMIT: Final = (
    f"Rate limit reached for gpt-4o-mini in organization {ORGANISATION} on requests per min (RPM): Limit 3, Used 3,"
    " Requested 1. Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more."
)
_QUOTA: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error,"
    " read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_SERVER: Final = (
    "The server had an error processing your request. Sorry about that! You can retry your request, or contact us"
    " through our help center at help.openai.com if you keep seeing this error."
)

FAULTS: Final[Mapping[str, Fault]] = {
    # the connection
    "refuse-after-headers": Fault(
        "closes the connection without a byte of reply; queued by /_mock/fault, as soon as the head is read",
        Script(before_head="close"),
    ),
    "reset-before-head": Fault(
        "resets the connection before the reply's head; the answer is billed",
        Script(before_head="reset"),
    ),
    "reset-after-head": Fault(
        "resets the connection behind the reply's head; the answer is billed",
        Script(after_head="reset"),
    ),
    "reset-mid-stream": Fault(
        "resets the connection in the middle of the reply", Script(midway="reset")
    ),
    "close-mid-stream": Fault(
        "closes the connection in the middle of the reply, its framing unfinished",
        Script(midway="close"),
    ),
    "stop-mid-stream": Fault(
        "ends the stream cleanly in the middle: no finish reason, no usage, no [DONE]; a plain reply is cut JSON",
        Script(midway="stop"),
    ),
    "close-after-reply": Fault(
        "closes the connection right behind a reply that promised to keep it",
        Script(after_reply="close"),
    ),
    "stray-reply": Fault(
        "sends a second reply that nobody asked for behind the first", Script(after_reply="stray")
    ),
    # time
    "hang": Fault(
        "never answers, until POST /_mock/release; the input is billed", Script(before_head="hang")
    ),
    "hang-after-head": Fault(
        "sends the head and then nothing, until POST /_mock/release", Script(after_head="hang")
    ),
    "hang-mid-stream": Fault(
        "stops in the middle of the reply, until POST /_mock/release", Script(midway="hang")
    ),
    "drip": Fault(
        "sends the reply in pieces of 16 bytes, 10 ms apart",
        Script(piece_bytes=16, piece_gap_s=0.01),
    ),
    "slow-first-byte": Fault(
        "begins the reply after 2 s, or after [[first-token-ms:…]]", Script(first_delay_s=2.0)
    ),
    # usage
    "no-usage": Fault("sends no usage at all", Script(usage_place="absent")),
    "usage-null": Fault("sends usage: null", Script(usage_value="null")),
    "usage-zero": Fault("sends a usage of zeros", Script(usage_value="zero")),
    "usage-negative": Fault("sends negative numbers of tokens", Script(usage_value="negative")),
    "usage-huge": Fault("sends 10^15 for each number of tokens", Script(usage_value="huge")),
    "usage-beyond-64-bit": Fault(
        "sends 10^30 for each number of tokens", Script(usage_value="beyond-64-bit")
    ),
    "usage-strings": Fault("sends the numbers of tokens as strings", Script(usage_value="strings")),
    "usage-fractions": Fault("sends numbers of tokens like 12.5", Script(usage_value="fractions")),
    "usage-cached-above-input": Fault(
        "says that more tokens were cached than went in", Script(usage_value="cached-above-input")
    ),
    "usage-no-details": Fault(
        "sends the totals without their details, as compatible providers do",
        Script(usage_value="no-details"),
    ),
    "usage-a-list": Fault(
        "sends a list where the usage object belongs", Script(usage_value="a-list")
    ),
    "usage-in-every-chunk": Fault(
        "sends the usage so far in every chunk, asked or not", Script(usage_place="every")
    ),
    "usage-with-finish": Fault(
        "sends the usage in the chunk with the finish reason, asked or not",
        Script(usage_place="finish"),
    ),
    # verdicts of moderation; other replies are as ever
    "verdict-too-few": Fault(
        "judges one entry less than it was asked about", Script(verdict_value="too-few")
    ),
    "verdict-incomplete": Fault(
        "leaves the category violence out of its verdicts", Script(verdict_value="incomplete")
    ),
    "verdict-beyond-one": Fault("gives scores of 1.5", Script(verdict_value="beyond-one")),
    "verdict-not-a-number": Fault("gives scores of NaN", Script(verdict_value="not-a-number")),
    "verdict-contradiction": Fault(
        "says that nothing is flagged, and of each category that it is",
        Script(verdict_value="contradiction"),
    ),
    # the stream's text
    "error-event": Fault(
        "sends an error event in the middle of the stream and ends it; a plain reply is a 500",
        Script(midway="error-event"),
    ),
    "response-failed": Fault(
        "says at the end of a response, streamed or not, that it failed, with its usage",
        Script(fails=True),
    ),
    "broken-json": Fault(
        "sends an event with cut JSON in the middle and goes on; a plain reply is cut JSON of the right length",
        Script(midway="broken-json"),
    ),
    "broken-framing": Fault(
        "sends a chunk size that is no number in the middle; a plain reply says it is longer than it is",
        Script(midway="garbage"),
    ),
    "crlf": Fault("ends the lines of the stream with CR LF", Script(crlf=True)),
    "comments": Fault("sends a comment before each event", Script(comments=True)),
    "many-data-lines": Fault(
        "spreads the JSON of each event over several data: lines", Script(many_lines=True)
    ),
    "byte-by-byte": Fault("sends the reply byte by byte", Script(piece_bytes=1)),
    "one-packet": Fault("sends all events of the stream in one write", Script(gather=True)),
    "huge-reply": Fault("sends 16 MiB of answer, in one event", Script(padding_bytes=16 << 20)),
    "huge-event": Fault("sends 2 MiB of answer, in one event", Script(padding_bytes=2 << 20)),
    "gzip": Fault("sends the reply with content-encoding: gzip, asked or not", Script(gzip=True)),
    "gzip-bomb": Fault(
        "sends 64 MiB of answer as some 64 KiB of gzip",
        Script(gzip=True, padding_bytes=64 << 20),
    ),
    "unknown-coding": Fault(
        "says that the reply is coded as `br`, which it is not",
        Script(extra_headers=(("content-encoding", "br"),)),
    ),
    "until-close": Fault(
        "sends neither length nor chunks; the end of the connection is the end",
        Script(framing="until-close"),
    ),
    # the head
    "early-hints": Fault("sends 103 Early Hints first", Script(hints_first=True)),
    "huge-head": Fault(
        "sends a head of 128 KiB", Script(extra_headers=(("x-padding", "x" * (128 << 10)),))
    ),
    "redirect": Fault(
        "answers 307 to /_mock/redirected, which counts who follows",
        Script(refusal=Refusal(status=307, body=b"", headers=(("location", "/_mock/redirected"),))),
    ),
    # statuses
    "400": Fault(
        "answers 400 context_length_exceeded",
        _error(
            400,
            "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.",
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ),
    "400-organisation": Fault(
        "answers 400 invalid_value, with the organisation in its text",
        _error(
            400,
            f"Invalid value: organization {ORGANISATION} has no access to it in project proj_TUCKSHOPmock.",
            "invalid_request_error",
            "invalid_value",
        ),
    ),
    "400-page": Fault(
        "answers 400 with a gateway's HTML page; the answer is billed",
        _page(400, b"400 Bad Request"),
    ),
    "401": Fault(
        "answers 401 invalid_api_key, with pieces of a key and an organisation in its text",
        _error(
            401,
            f"Incorrect API key provided: sk-proj-*****************************CnRy, organization {ORGANISATION}."
            " You can find your API key at https://platform.openai.com/account/api-keys.",
            "invalid_request_error",
            "invalid_api_key",
        ),
    ),
    "403": Fault(
        "answers 403 unsupported_country_region_territory",
        _error(
            403,
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
    ),
    "404": Fault(
        "answers 404 model_not_found",
        _error(
            404,
            "The model `gpt-4o-mini` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
    ),
    "429": Fault(
        "answers 429 rate_limit_exceeded with retry-after: 1 and the organisation in its text",
        _error(
            429,
            _RATE_LIMIT,
            "requests",
            "rate_limit_exceeded",
            headers=(("retry-after", "1"), ("retry-after-ms", "1000")),
        ),
    ),
    "429-long": Fault(
        "answers 429 rate_limit_exceeded with retry-after: 120",
        _error(
            429,
            _RATE_LIMIT,
            "requests",
            "rate_limit_exceeded",
            headers=(("retry-after", "120"),),
        ),
    ),
    "insufficient-quota": Fault(
        "answers 429 insufficient_quota",
        _error(429, _QUOTA, "insufficient_quota", "insufficient_quota"),
    ),
    "500": Fault(
        "answers 500 server_error as JSON, unbilled", _error(500, _SERVER, "server_error")
    ),
    "500-billed": Fault(
        "answers 500 server_error as JSON, and bills the answer all the same",
        _error(500, _SERVER, "server_error", bills=True),
    ),
    "502": Fault(
        "answers 502 with a gateway's HTML page; the answer is billed",
        _page(502, b"502 Bad Gateway"),
    ),
    "503": Fault(
        "answers 503 server_is_overloaded with retry-after: 1",
        _error(
            503,
            "The server is currently overloaded with other requests. Sorry about that!",
            "service_unavailable_error",
            "server_is_overloaded",
            headers=(("retry-after", "1"),),
        ),
    ),
    "504": Fault(
        "answers 504 with a gateway's HTML page; the answer is billed",
        _page(504, b"504 Gateway Time-out"),
    ),
    "529": Fault(
        "answers 529 overloaded_error",
        _error(529, "Overloaded", "overloaded_error", "server_is_overloaded"),
    ),
    # what the reply says of itself
    "other-model": Fault(
        "names a dearer model in the reply: gpt-4o-2024-08-06", Script(model="gpt-4o-2024-08-06")
    ),
    "unknown-model": Fault(
        "names a model that nobody knows in the reply", Script(model="gpt-99-surprise")
    ),
    "other-tier": Fault("says that it served the priority tier", Script(service_tier="priority")),
}


def distort(answer: Answer, script: Script) -> None:
    """Change in *answer* itself what *script* says."""
    if not script.departs:
        return
    answer.altered = True
    if script.model is not None:
        answer.model = script.model
    if script.service_tier is not None:
        answer.service_tier = script.service_tier
    answer.failed = script.fails
    if script.usage_value is not None:
        answer.distort = ODD_USAGE[script.usage_value]
    if script.padding_bytes and answer.choices[0].pieces:
        first, *others = answer.choices
        pieces = [first.pieces[0] + "x" * script.padding_bytes, *first.pieces[1:]]
        answer.choices = [replace(first, pieces=pieces), *others]
