from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuckshop.domain.limits import (
    MAX_AMOUNT,
    MAX_ROLLING_SECONDS,
    Limit,
    LimitKind,
    LimitSyntaxError,
    Metric,
    Rolling,
    RollingUnit,
    Selector,
    Window,
    parse_limit,
    window_key,
)

_SECONDS: dict[RollingUnit, int] = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_CALENDAR: list[Window] = ["day", "week", "month", "year", "total"]


@st.composite
def rolling_windows(draw: st.DrawFn) -> Rolling:
    unit = draw(st.sampled_from(sorted(_SECONDS)))
    least = 2 if unit == "day" else 1
    return Rolling.of(draw(st.integers(least, MAX_ROLLING_SECONDS // _SECONDS[unit])), unit)


def selectors() -> st.SearchStrategy[Selector]:
    models = st.from_regex(r"[A-Za-z0-9._:/@+~=*-]{1,30}", fullmatch=True)
    return st.builds(
        Selector,
        st.lists(
            models.filter(lambda name: not name.lower().startswith("endpoint:")), max_size=4
        ).map(tuple),
        st.lists(st.from_regex(r"[a-z0-9._*-]{1,20}", fullmatch=True), max_size=4).map(tuple),
    )


def limits() -> st.SearchStrategy[Limit]:
    windows = st.one_of(st.sampled_from(_CALENDAR), rolling_windows())
    counted = st.sampled_from([metric for metric in Metric if metric is not Metric.CONCURRENCY])
    amounts = st.integers(0, MAX_AMOUNT)
    return st.one_of(
        st.builds(Limit, amounts, counted, windows, selectors()),
        st.builds(Limit, amounts, st.just(Metric.CONCURRENCY), st.just("now"), selectors()),
    )


@given(limit=limits())
def test_every_limit_that_can_be_built_reads_back_as_itself(limit: Limit) -> None:
    read = parse_limit(str(limit))

    assert read == limit
    assert str(read) == str(limit)
    assert read.kind == limit.kind


_RESTYLES: list[Callable[[str], str]] = [
    str.lower,
    lambda text: text.replace("/", "  /\t"),
    lambda text: text.replace("/", " per "),
    lambda text: f"  {text}  ",
    lambda text: text.replace("requests", "request").replace("tokens", "Token"),
    lambda text: text.replace("minute", "min").replace("month", "MO").replace("hours", "h"),
    lambda text: text.replace(" ", "   "),
]


@pytest.mark.parametrize("restyle", _RESTYLES)
@pytest.mark.parametrize(
    "text",
    [
        "$1 total",
        "$0.20/month",
        "35 requests/minute on gpt-3.5-turbo",
        "1600 tokens/minute",
        "50 requests/minute on text-embedding-*",
        "4 concurrent requests",
        "200 requests/5 hours on endpoint:chat",
        "9 input tokens/week on a, c, endpoint:b*",
    ],
)
def test_how_it_is_written_does_not_matter(text: str, restyle: Callable[[str], str]) -> None:
    assert str(parse_limit(restyle(text))) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("35 rpm on gpt-4o*", "35 requests/minute on gpt-4o*"),
        ("1600 TPM", "1600 tokens/minute"),
        ("5rpd", "5 requests/day"),
        ("100 tpd", "100 tokens/day"),
        ("3 rps", "3 requests/second"),
        ("5 requests/1 minute", "5 requests/minute"),
        ("5 requests/60 seconds", "5 requests/60 seconds"),
        ("5 requests/60s", "5 requests/60 seconds"),
        ("5 req/1 day", "5 requests/day"),
        ("5 req/2 d", "5 requests/2 days"),
        ("5 req/24 hr", "5 requests/24 hours"),
        ("1 requests/w", "1 request/week"),
        ("0 requests/y", "0 requests/year"),
        ("007 requests/day", "7 requests/day"),
        ("$.5/d", "$0.50/day"),
        ("$ 2 /month", "$2/month"),
        ("$2.500000000/month", "$2.50/month"),
        ("$0.000000001/month", "$0.000000001/month"),
        ("$0/month", "$0/month"),
        ("$9223372036.854775807 total", "$9223372036.854775807 total"),
        ("1 concurrent requests on A", "1 concurrent request on A"),
        ("2 images per 30 days", "2 images/30 days"),
        ("5 rpm on a, endpoint:b*, c", "5 requests/minute on a, c, endpoint:b*"),
        ("$5 per5hours ON Endpoint: CHAT", "$5/5 hours on endpoint:chat"),
        ("1 output token total", "1 output token total"),
    ],
)
def test_the_printed_form_is_the_long_one(text: str, printed: str) -> None:
    assert str(parse_limit(text)) == printed


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "an amount"),
        ("   ", 4, "an amount"),
        ("-5 rpm", 1, "an amount"),
        ("٣ requests/day", 1, "an amount"),
        ("lots of requests", 1, "an amount"),
        ("$", 2, "an amount of money"),
        ("$-1/day", 2, "an amount of money"),
        ("$0.20", 6, '"/" and a window such as "month", or "total"'),
        ("$0.20 month", 7, '"/" and a window'),
        ("$5e3/month", 3, '"/" and a window'),
        ("$5./month", 3, '"/" and a window'),
        ("$0.1234567891/day", 13, "at most nine decimals"),
        ("$9223372036.854775808/day", 2, "at most $9223372036.854775807"),
        ("9223372036854775808 rpm", 1, "at most 9223372036854775807"),
        ("9" * 10_000 + " rpm", 1, "at most 9223372036854775807"),
        ("1,000 rpm", 2, "digits without separators"),
        ("1_000 rpm", 2, "digits without separators"),
        ("1 000 rpm", 2, "digits without separators"),
        ("$1,000/month", 3, "digits without separators"),
        ("$1_000/month", 3, "digits without separators"),
        ("1.5 requests/day", 1, 'a whole number, or "$" before money'),
        ("5 apples/day", 3, "requests, tokens, input tokens"),
        ("5 input requests/day", 9, '"tokens"'),
        ("5 concurrent tokens", 14, '"requests"'),
        ("5 USD/month", 3, '"$" before the number'),
        ("5$/month", 2, '"$" before the number'),
        ("4 concurrent requests/minute", 22, "take no window"),
        ("4 concurrent requests total", 23, "take no window"),
        ("$1/total", 4, '"total" without "/"'),
        ("5 requests/m", 12, '"min" or "mo"'),
        ("5 requests/fortnight", 12, "second, minute, hour"),
        ("5 requests/", 12, "second, minute, hour"),
        ("5 requests/0 minutes", 12, "at least 1"),
        ("5 requests/3661 days", 12, "at most 3660 days"),
        ("5 requests/2 weeks", 12, '"week" without a number'),
        ("5 requests/1 month", 12, '"month" without a number'),
        ("5 rpm/day", 6, '"on" or the end'),
        ("5 rpm foo", 7, '"on" or the end'),
        ("5 rpm ongpt", 7, '"on" or the end'),
        ("5 rpm on", 9, "a model"),
        ("5 rpm on a,", 12, "a model"),
        ("5 rpm on a,,b", 12, "a model"),
        ("5 rpm on a b", 12, '"," or the end'),
        ("5 rpm on gpt-4 und gpt-5", 16, '"," or the end'),
        ("5 rpm on endpoint:", 19, "an endpoint group"),
        ("5 rpm on endpoint:a/b", 19, "an endpoint group"),
        ("5 rpm on modèl", 13, '"," or the end'),
        ("$5/wee\u212a", 4, "second, minute, hour"),
    ],
)
def test_a_bad_limit_is_refused_with_the_column_and_what_was_expected(
    text: str, column: int, expected: str
) -> None:
    with pytest.raises(LimitSyntaxError) as caught:
        parse_limit(text)

    assert caught.value.column == column
    assert expected in caught.value.expected
    assert str(caught.value) == f"column {column}: expected {caught.value.expected}"
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("text", "column", "sign"),
    [
        ("€5/month", 1, "€"),
        ("5 €/month", 3, "€"),
        ("5€", 2, "€"),
        ("5 euros/day", 3, "€"),
        ("£1 total", 1, "£"),
    ],
)
def test_other_currencies_get_a_sentence_of_their_own(text: str, column: int, sign: str) -> None:
    with pytest.raises(LimitSyntaxError, match="US dollars") as caught:
        parse_limit(text)

    assert caught.value.column == column
    assert f'instead of "{sign}"' in str(caught.value)


@given(text=st.text(max_size=40) | st.text("$0.5/ monthperoncuqs,*:-", max_size=40))
@settings(max_examples=200)
def test_any_text_is_a_limit_or_a_syntax_error_with_a_column_inside_it(text: str) -> None:
    read: Limit | LimitSyntaxError
    try:
        read = parse_limit(text)
    except LimitSyntaxError as error:
        read = error

    if isinstance(read, LimitSyntaxError):
        assert 1 <= read.column <= len(text) + 1
        assert read.expected
    else:
        assert parse_limit(str(read)) == read


def test_a_text_longer_than_any_limit_prints_is_refused() -> None:
    widest = Limit(
        MAX_AMOUNT,
        Metric.OUTPUT_TOKENS,
        Rolling.of(MAX_ROLLING_SECONDS, "second"),
        Selector((), tuple("x" * 198 + f"{n:02}" for n in range(64))),
    )

    assert parse_limit(str(widest)) == widest
    with pytest.raises(LimitSyntaxError, match="at most 16384 characters"):
        parse_limit(" " * 20_000)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("5 requests/60 seconds", "9 rpm", True),
        ("$1/month on a, endpoint:b, a", "$2/month on endpoint:b, a", True),
        ("$1/day", "$1/24 hours", False),
        ("5 requests/day", "5 tokens/day", False),
        ("$1/month on a", "$1/month", False),
        ("$1/month", "$1/year", False),
        ("$1/month on gpt", "$1/month on GPT", False),
    ],
)
def test_limits_of_one_kind_differ_in_their_amount_alone(one: str, other: str, same: bool) -> None:
    assert (parse_limit(one).kind == parse_limit(other).kind) is same


def test_a_kind_is_told_by_what_a_counter_is_keyed_with() -> None:
    limit = parse_limit("200 requests/5 hours on gpt-4, endpoint:chat, dall-e*")

    assert limit.kind == LimitKind(Metric.REQUESTS, "rolling:18000", "dall-e*,endpoint:chat,gpt-4")
    assert [window_key(window) for window in ("month", "total", "now")] == ["month", "total", "now"]
    assert hash(limit.kind) == hash(parse_limit(str(limit)).kind)


@pytest.mark.parametrize(
    ("names", "model", "aliases", "endpoint", "covered"),
    [
        ("", "gpt-4", (), "chat", True),
        ("", "", (), "files", True),
        ("gpt-3.5-turbo", "gpt-3.5-turbo", (), "chat", True),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-1106", ("gpt-3.5-turbo",), "chat", True),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-16k", (), "chat", False),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo", (), "chat", False),
        ("gpt-*-turbo", "gpt-3.5-turbo-1106", ("gpt-3.5-turbo",), "chat", False),
        ("gpt-4o*", "gpt-4o-mini", (), "chat", True),
        ("*", "meta/llama", (), "chat", False),
        ("*/*", "meta/llama", (), "chat", True),
        ("GPT-4", "gpt-4", (), "chat", False),
        ("endpoint:chat", "anything", (), "chat", True),
        ("endpoint:image*", "", (), "images", True),
        ("gpt-4, endpoint:embeddings", "ada", (), "embeddings", True),
        ("gpt-4, endpoint:embeddings", "ada", (), "chat", False),
        ("chat", "gpt-4", (), "chat", False),
    ],
)
def test_a_selector_covers_its_models_their_snapshots_and_its_endpoints(
    names: str, model: str, aliases: tuple[str, ...], endpoint: str, covered: bool
) -> None:
    selector = parse_limit(f"5 rpm on {names}").selector if names else Selector()

    assert selector.covers(model, aliases, endpoint) is covered


@pytest.mark.parametrize(
    "build",
    [
        lambda: Limit(-1, Metric.MONEY, "month"),
        lambda: Limit(2**63, Metric.MONEY, "month"),
        lambda: Limit(1, Metric.CONCURRENCY, "month"),
        lambda: Limit(1, Metric.REQUESTS, "now"),
        lambda: Rolling(60, "hour"),
        lambda: Rolling(86_400, "day"),
        lambda: Rolling(60, "1 minute"),
        lambda: Rolling(120, "2 minute"),
        lambda: Rolling(60, "minutes"),
        lambda: Rolling.of(0, "minute"),
        lambda: Rolling.of(MAX_ROLLING_SECONDS + 1, "second"),
        lambda: Selector(("a b",)),
        lambda: Selector(("",)),
        lambda: Selector(("endpoint:chat",)),
        lambda: Selector((), ("Chat",)),
        lambda: Selector(("x" * 201,)),
        lambda: Selector(("x",) * 65),
    ],
)
def test_a_limit_that_could_not_be_written_cannot_be_built(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        build()
