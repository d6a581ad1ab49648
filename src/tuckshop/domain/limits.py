"""
Limits as people write them: amount per window, optionally on chosen models or endpoints.

    LIMIT    := (AMOUNT ("/" WINDOW | "total") | integer "concurrent requests") ["on" SELECTOR {"," SELECTOR}]
    AMOUNT   := "$" number | integer ("requests"|"tokens"|"input tokens"|"output tokens"|"images")
    WINDOW   := [integer] ("second"|"minute"|"hour"|"day") | "week" | "month" | "year"
    SELECTOR := model glob | "endpoint:" endpoint-group glob

Read liberally (singular, plural, short forms, any case, any white space), printed in one long form, which reads
back as the same limit. What is not wholly understood is refused, with the column and what was expected.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NoReturn

from tuckshop.domain.globs import matches
from tuckshop.domain.money import MAX_NANO_USD, format_usd, parse_usd

Calendar = Literal["day", "week", "month", "year", "total"]
RollingUnit = Literal["second", "minute", "hour", "day"]

MAX_AMOUNT: Final = 2**63 - 1  # one signed 64-bit column
MAX_ROLLING_SECONDS: Final = 3660 * 86_400  # about ten years
MAX_SELECTOR_NAMES: Final = 64
MAX_NAME_LENGTH: Final = 200
MAX_TEXT_LENGTH: Final = 16_384  # more than any limit that can be built prints

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_ROLLING_TEXT: Final = re.compile(r"(?:([1-9][0-9]{0,9}) )?(second|minute|hour|day)(s?)")
_NAME: Final = re.compile(r"[A-Za-z0-9._:/@+~=*-]+")
_ENDPOINT_NAME: Final = re.compile(r"[a-z0-9._*-]+")
_ENDPOINT_PREFIX: Final = re.compile(r"endpoint\s*:\s*", re.IGNORECASE)


class Metric(StrEnum):
    """What a limit counts."""

    MONEY = "money"  # nano-USD
    REQUESTS = "requests"
    TOKENS = "tokens"  # input + output, as billed
    INPUT_TOKENS = "input tokens"
    OUTPUT_TOKENS = "output tokens"
    IMAGES = "images"
    CONCURRENCY = "concurrent requests"


class LimitSyntaxError(ValueError):
    """
    A text that is no limit.

    Attributes:
        text: What was to be read.
        column: Where reading stopped, counted from 1.
        expected: What could have stood there.
    """

    def __init__(
        self, text: str, column: int, expected: str, *, sentence: str | None = None
    ) -> None:
        super().__init__(sentence or f"column {column}: expected {expected}")
        self.text = text
        self.column = column
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Rolling:
    """A stretch of so many seconds that ends now, at every instant. "60 seconds" and "minute" are equal."""

    seconds: int
    text: str = field(compare=False)  # as printed: "minute", "5 hours", "30 days"

    def __post_init__(self) -> None:
        found = _ROLLING_TEXT.fullmatch(self.text)
        count = int(found[1] or 1) if found else 0
        if (
            found is None
            or count * _SECONDS[found[2]] != self.seconds
            or (found[1] is not None) != (found[3] == "s")
            or found[1] == "1"
            or self.text == "day"
        ):
            raise ValueError(f"{self.text!r} does not say {self.seconds} seconds")
        if self.seconds > MAX_ROLLING_SECONDS:
            raise ValueError(f"{self.text!r} is longer than a window may be")

    @classmethod
    def of(cls, count: int, unit: RollingUnit) -> Rolling:
        """*count* *unit*s. One day is no rolling window but the calendar's."""
        return cls(count * _SECONDS[unit], unit if count == 1 else f"{count} {unit}s")


Window = Calendar | Rolling | Literal["now"]  # "now": what runs at this moment (concurrency)


def window_key(window: Window) -> str:
    """What tells one kind of window from another in a counter's key: ``month``, ``rolling:60``, ``now``."""
    return f"rolling:{window.seconds}" if isinstance(window, Rolling) else window


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls a limit counts: any of these models or endpoint groups. Empty: all calls."""

    models: tuple[str, ...] = ()  # globs over the resolved model id; do not cross "/"
    endpoints: tuple[str, ...] = ()  # globs over endpoint groups
    canonical: str = field(
        init=False, compare=False, repr=False
    )  # sorted, each once; "" = all calls

    def __post_init__(self) -> None:
        if len(self.models) + len(self.endpoints) > MAX_SELECTOR_NAMES:
            raise ValueError(f"a selector takes at most {MAX_SELECTOR_NAMES} names")
        for name in (*self.models, *self.endpoints):
            if len(name) > MAX_NAME_LENGTH:
                raise ValueError(f"a name has at most {MAX_NAME_LENGTH} characters")
        for model in self.models:
            if not _NAME.fullmatch(model) or _ENDPOINT_PREFIX.match(model):
                raise ValueError(f"{model!r} is no model glob")
        for endpoint in self.endpoints:
            if not _ENDPOINT_NAME.fullmatch(endpoint):
                raise ValueError(f"{endpoint!r} is no glob of endpoint groups")
        object.__setattr__(self, "canonical", ",".join(sorted(set(self._names()))))

    def covers(self, model: str, aliases: tuple[str, ...], endpoint_group: str) -> bool:
        """
        Whether a call counts here.

        Args:
            model: The resolved id, without upstream prefix; "" where the endpoint has none.
            aliases: The undated names of the model: a name without ``*`` binds its dated snapshots too.
            endpoint_group: Such as ``chat``.
        """
        if not self.models and not self.endpoints:
            return True
        return any(glob in aliases or matches(glob, model) for glob in self.models) or any(
            matches(glob, endpoint_group) for glob in self.endpoints
        )

    def _names(self) -> tuple[str, ...]:
        return (*self.models, *(f"endpoint:{name}" for name in self.endpoints))

    def __str__(self) -> str:
        return ", ".join(self._names())


@dataclass(frozen=True, slots=True)
class LimitKind:
    """What limits of one kind have in common, and their counters with them: all but the amount."""

    metric: Metric
    window: str  # window_key
    selector: str  # Selector.canonical


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `str()` prints the long form, which `parse_limit` reads back."""

    amount: int  # nano-USD for money, else a count; 0 blocks
    metric: Metric
    window: Window
    selector: Selector = Selector()
    kind: LimitKind = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= MAX_AMOUNT:
            raise ValueError(f"an amount lies between 0 and {MAX_AMOUNT}, not at {self.amount}")
        if (self.metric is Metric.CONCURRENCY) != (self.window == "now"):
            raise ValueError(f"{self.metric} are not counted per {window_key(self.window)}")
        kind = LimitKind(self.metric, window_key(self.window), self.selector.canonical)
        object.__setattr__(self, "kind", kind)

    def __str__(self) -> str:
        if self.metric is Metric.MONEY:
            text = format_usd(self.amount)
        else:
            text = f"{self.amount} {self.metric[:-1] if self.amount == 1 else self.metric}"
        if self.window == "total":
            text += " total"
        elif isinstance(self.window, Rolling):
            text += f"/{self.window.text}"
        elif self.window != "now":
            text += f"/{self.window}"
        names = str(self.selector)
        return f"{text} on {names}" if names else text


def parse_limit(text: str) -> Limit:
    """
    The limit that *text* states, such as ``$0.20/month`` or ``35 rpm on gpt-4o*``.

    Raises:
        LimitSyntaxError: Any part of it was not understood.
    """
    return _Reader(text).limit()


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

_METRICS: Final[dict[str, Metric]] = {
    **dict.fromkeys(("request", "requests", "req", "reqs"), Metric.REQUESTS),
    **dict.fromkeys(("token", "tokens", "tok", "toks"), Metric.TOKENS),
    **dict.fromkeys(("image", "images", "img", "imgs"), Metric.IMAGES),
}
_UNITS: Final[dict[str, RollingUnit | Literal["week", "month", "year"]]] = {
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), "second"),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), "minute"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), "hour"),
    **dict.fromkeys(("day", "days", "d"), "day"),
    **dict.fromkeys(("week", "weeks", "wk", "wks", "w"), "week"),
    **dict.fromkeys(("month", "months", "mo", "mos"), "month"),
    **dict.fromkeys(("year", "years", "yr", "yrs", "y"), "year"),
}
# Requests, tokens, images per second, minute, hour, day: "rpm", "tpd".
_SHORT_METRICS: Final = {"r": Metric.REQUESTS, "t": Metric.TOKENS, "i": Metric.IMAGES}
_SHORT_UNITS: Final[dict[str, RollingUnit]] = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
}
_SHORT: Final = re.compile(r"([rti])p([smhd])")

_SPACE: Final = re.compile(r"\s*")
_DIGITS: Final = re.compile(r"[0-9]+")
_MONEY: Final = re.compile(r"[0-9]*\.[0-9]+|[0-9]+")
_WORD: Final = re.compile(r"[^\W\d_]+")
_SEPARATORS: Final = re.compile(r"[_,'’]?\s*[0-9]|[_,'’]")  # noqa: RUF001 - thousands are so written
_WHAT: Final = "requests, tokens, input tokens, output tokens, images or concurrent requests"
_WHEN: Final = "second, minute, hour, day, week, month or year"
_FOREIGN: Final = {"eur": "€", "euro": "€", "euros": "€", "gbp": "£", "pound": "£", "pounds": "£"}
_DOLLARS: Final = {"usd", "dollar", "dollars", "cent", "cents"}


class _Reader:
    """Reads one limit from left to right, and remembers where it is for the error."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        if len(text) > MAX_TEXT_LENGTH:
            self._fail(f"at most {MAX_TEXT_LENGTH} characters", at=MAX_TEXT_LENGTH)

    def limit(self) -> Limit:
        amount, metric, window = self._amount()
        if window is None:
            window = self._per_window()
        selector = self._selector() if self._keyword("on") else Selector()
        if self._at < len(self._text):
            self._fail('"on" or the end' if selector == Selector() else '"," or the end')
        return Limit(amount, metric, window, selector)

    def _amount(self) -> tuple[int, Metric, Window | None]:
        """The amount; its window too where the unit says it (``rpm``) or there is none (concurrency)."""
        self._skip_space()
        if self._take("$"):
            return self._money(), Metric.MONEY, None
        self._refuse_foreign_money()
        if not _DIGITS.match(self._text, self._at):
            self._fail('an amount such as "$0.20" or "35 requests"')
        amount = self._integer(MAX_AMOUNT, expected='a whole number, or "$" before money')
        self._skip_space()
        self._refuse_foreign_money()
        start, word = self._at, self._word()
        if word in ("input", "output"):
            self._skip_space()
            noun = self._at
            if _METRICS.get(self._word()) is not Metric.TOKENS:
                self._fail('"tokens"', at=noun)
            return amount, Metric(f"{word} tokens"), None
        if word == "concurrent":
            self._skip_space()
            noun = self._at
            if _METRICS.get(self._word()) is not Metric.REQUESTS:
                self._fail('"requests"', at=noun)
            self._refuse_window()
            return amount, Metric.CONCURRENCY, "now"
        if short := _SHORT.fullmatch(word):
            return amount, _SHORT_METRICS[short[1]], self._window_of(1, _SHORT_UNITS[short[2]])
        if word in _DOLLARS or self._text[start : start + 1] == "$":
            self._fail('"$" before the number', at=start)
        if word not in _METRICS:
            self._fail(_WHAT, at=start)
        return amount, _METRICS[word], None

    def _money(self) -> int:
        self._skip_space()
        found = _MONEY.match(self._text, self._at)
        if not found:
            self._fail('an amount of money such as "0.20"')
        number, start = found[0], self._at
        self._at = found.end()
        self._refuse_separators()
        whole, _, decimals = number.partition(".")
        if len(decimals.rstrip("0")) > 9:
            self._fail("at most nine decimals", at=start + len(whole) + 10)
        try:
            return parse_usd(f"{whole or '0'}.{decimals[:9] or '0'}")
        except ValueError:
            self._fail(f"at most {format_usd(MAX_NANO_USD)}", at=start)

    def _integer(self, greatest: int, *, expected: str = "a whole number") -> int:
        """Digits stand here. They are counted before they are converted, which takes quadratic time."""
        found = _DIGITS.match(self._text, self._at)
        assert found
        start, self._at = self._at, found.end()
        self._refuse_separators()
        if self._text.startswith(".", self._at):
            self._fail(expected, at=start)
        digits = found[0].lstrip("0") or "0"
        if len(digits) > 19 or int(digits) > greatest:
            self._fail(f"at most {greatest}", at=start)
        return int(digits)

    def _per_window(self) -> Window:
        if self._keyword("total"):
            return "total"
        if not self._take("/") and not self._keyword("per"):
            self._fail('"/" and a window such as "month", or "total"')
        self._skip_space()
        start, count = self._at, None
        if _DIGITS.match(self._text, self._at):
            count = self._integer(MAX_ROLLING_SECONDS)
            if count == 0:
                self._fail("a window of at least 1", at=start)
            self._skip_space()
        word_start, word = self._at, self._word()
        if word == "m":
            self._fail('"min" or "mo", as "m" could be either', at=word_start)
        if word == "total":
            self._fail(f'{_WHEN}, or "total" without "/"', at=word_start)
        unit = _UNITS.get(word)
        if unit is None:
            self._fail(_WHEN, at=word_start)
        if unit != "week" and unit != "month" and unit != "year":
            return self._window_of(1 if count is None else count, unit, at=start)
        if count is not None:
            self._fail(
                f'"{unit}" without a number, or a number of days such as "14 days"', at=start
            )
        return unit

    def _window_of(self, count: int, unit: RollingUnit, *, at: int = 0) -> Window:
        if count * _SECONDS[unit] > MAX_ROLLING_SECONDS:
            self._fail(f"a window of at most {MAX_ROLLING_SECONDS // _SECONDS['day']} days", at=at)
        return "day" if unit == "day" and count == 1 else Rolling.of(count, unit)

    def _selector(self) -> Selector:
        models: list[str] = []
        endpoints: list[str] = []
        while True:
            self._skip_space()
            if prefix := _ENDPOINT_PREFIX.match(self._text, self._at):
                self._at = prefix.end()
                name = self._name("an endpoint group such as chat").lower()
                if not _ENDPOINT_NAME.fullmatch(name):
                    self._fail("an endpoint group such as chat", at=self._at - len(name))
                endpoints.append(name)
            else:
                models.append(self._name('a model such as gpt-4o* or "endpoint:" and a group'))
            if len(models) + len(endpoints) > MAX_SELECTOR_NAMES:
                self._fail(f"at most {MAX_SELECTOR_NAMES} names", at=self._at - 1)
            self._skip_space()
            if not self._take(","):
                return Selector(tuple(models), tuple(endpoints))

    def _name(self, expected: str) -> str:
        found = _NAME.match(self._text, self._at)
        if not found:
            self._fail(expected)
        if len(found[0]) > MAX_NAME_LENGTH:
            self._fail(f"a name of at most {MAX_NAME_LENGTH} characters")
        self._at = found.end()
        return found[0]

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found
        self._at = found.end()

    def _take(self, character: str) -> bool:
        self._skip_space()
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _word(self) -> str:
        """The letters from here on, in lower case; "" where there are none."""
        found = _WORD.match(self._text, self._at)
        if not found:
            return ""
        self._at = found.end()
        # Only ASCII is folded: the Kelvin sign is no K.
        return found[0].lower() if found[0].isascii() else found[0]

    def _keyword(self, word: str) -> bool:
        """Step over *word*, where it stands here and is a word of its own."""
        self._skip_space()
        start = self._at
        # What follows "on" may begin with nearly anything, so only there white space must set it apart.
        if self._word() == word and (
            word != "on" or not self._text[self._at : self._at + 1].strip()
        ):
            return True
        self._at = start
        return False

    def _refuse_separators(self) -> None:
        if _SEPARATORS.match(self._text, self._at):
            self._fail("digits without separators")

    def _refuse_foreign_money(self) -> None:
        character = self._text[self._at : self._at + 1]
        if not character or character == "$":
            return
        start = self._at
        sign = character if unicodedata.category(character) == "Sc" else _FOREIGN.get(self._word())
        self._at = start
        if sign:
            sentence = (
                f'column {start + 1}: amounts are in US dollars, so write "$" instead of "{sign}"'
            )
            raise LimitSyntaxError(self._text, start + 1, '"$"', sentence=sentence)

    def _refuse_window(self) -> None:
        self._skip_space()
        start = self._at
        if self._take("/") or self._keyword("per") or self._keyword("total"):
            self._fail('"on" or the end, as concurrent requests take no window', at=start)

    def _fail(self, expected: str, *, at: int | None = None) -> NoReturn:
        raise LimitSyntaxError(self._text, (self._at if at is None else at) + 1, expected)
