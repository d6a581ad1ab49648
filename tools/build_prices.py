"""
Build the price list of the package from two published lists, in a virtual environment of its own.

Rates come from genai-prices, limits and end dates from LiteLLM's list; where both state a rate, the dearer stands.
Neither package is needed to run tuckshop. See docs/reference/pricing.md, "Bringing the list up to date".

    PYTHONPATH=src python tools/build_prices.py           write src/tuckshop/pricing/prices.json
    PYTHONPATH=src python tools/build_prices.py --check   exit 1 if it differs from what would be written
    python tools/build_prices.py --docs                   write the table of docs/reference/pricing.md from the list
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from tuckshop.domain.money import NANO_PER_USD, usd
from tuckshop.pricing.images import ImageRule
from tuckshop.pricing.prices import GENERATING, CapField, Family, ModelPrice, PriceList

ROOT: Final = Path(__file__).resolve().parent.parent
LIST: Final = ROOT / "src/tuckshop/pricing/prices.json"
PAGE: Final = ROOT / "docs/reference/pricing.md"
TABLE_BEGIN: Final = "<!-- models: begin (tools/build_prices.py --docs) -->"
TABLE_END: Final = "<!-- models: end -->"

FAMILIES: Final[Mapping[str, Family]] = {
    "chat": "chat",
    "responses": "responses",
    "completion": "completion",
    "embedding": "embedding",
}
# Where a model of LiteLLM's list must be served, if that list says where it is.
SERVED_AT: Final[Mapping[Family, str]] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embedding": "/v1/embeddings",
}
PROVIDERS: Final = frozenset({"openai", "text-completion-openai"})
# What they are for are tools that the provider runs, for a fee.
RUNS_TOOLS: Final = re.compile(r"deep-research|computer-use")
# How images are billed as input, by the beginning of the name; the first that fits. A model that is not here takes
# none, or how it bills them is not known (docs/reference/pricing.md).
IMAGE_RULES: Final[tuple[tuple[str, ImageRule], ...]] = (
    (r"gpt-4o-mini", "tiles-2833-5667"),
    (r"gpt-4\.1-mini|gpt-5-mini|gpt-5\.4-mini", "patches-1536-x1.62"),
    (r"gpt-4\.1-nano|gpt-5-nano|gpt-5\.4-nano", "patches-1536-x2.46"),
    (r"o4-mini", "patches-1536-x1.72"),
    (r"o[13](-pro)?(-\d{4}-\d{2}-\d{2})?$", "tiles-75-150"),
    (r"gpt-4o|gpt-4\.1|gpt-4-turbo", "tiles-85-170"),
    (r"gpt-5(-pro|-chat|-chat-latest)?(-\d{4}-\d{2}-\d{2})?$", "tiles-70-140"),
    # Not in the provider's table: as dear as the dearest of its neighbours.
    (r"gpt-5\.1-codex-mini", "flat-2489"),
    (r"gpt-5\.1|gpt-5-codex", "flat-1844"),
    (r"gpt-5\.2|gpt-5\.3-codex", "patches-1536-x1.2"),
    (r"gpt-5\.4|gpt-5\.5", "patches-10000-x1.2"),
    (r"gpt-5\.6|gpt-6", "patches-unlimited-x1.2"),
)
# They answer on /chat/completions, and what they are for is billed by units that are not text tokens.
OTHER_UNITS: Final = re.compile(r"audio|realtime|image|tts|transcribe|whisper|live")
SEARCHES: Final = re.compile(r"-search-(preview|api)\b")
# Newer chat models refuse `max_tokens`, whether they reason or not.
REFUSES_MAX_TOKENS: Final = re.compile(r"^(gpt-[5-9]|o[1-9])")
SNAPSHOT: Final = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")
CLIFF: Final = re.compile(r"^input_cost_per_token_above_(\d+)k_tokens$")
# Snapshots whose names do not say of what.
BASES: Final[Mapping[str, str]] = {
    "gpt-4-1106-preview": "gpt-4-turbo",
    "gpt-4-0125-preview": "gpt-4-turbo",
    "gpt-4-turbo-preview": "gpt-4-turbo",
    "text-embedding-ada-002-v2": "text-embedding-ada-002",
    "omni-moderation-2024-09-26": "omni-moderation-latest",
    "text-moderation-007": "text-moderation-latest",
}
# Older models have no output limit but their window; LiteLLM states a smaller one, by which a hold would be too small.
WIDER_OUTPUT: Final[Mapping[str, int]] = {
    "gpt-3.5-turbo-16k": 16_385,
    "gpt-3.5-turbo-16k-0613": 16_385,
    "gpt-4": 8_192,
    "gpt-4-0314": 8_192,
    "gpt-4-0613": 8_192,
}
# From gpt-5.6 on, writing to the cache costs more than input, and nobody asks for it.
BILLS_CACHE_WRITES: Final = re.compile(r"^gpt-(5\.[6-9]|[6-9])")
# OpenAI's moderation guide says so; both lists only have an empty or a zero price, which could mean unknown.
FREE: Final = (
    "omni-moderation-2024-09-26",
    "omni-moderation-latest",
    "text-moderation-007",
    "text-moderation-latest",
    "text-moderation-stable",
)
FREE_CONTEXT_TOKENS: Final = 32_768
FREE_SOURCE: Final = "OpenAI's moderation guide"

KINDS: Final = ("input", "cached_input", "cache_write", "cache_write_12h", "output")
# A rate that genai-prices leaves out is that of its parent unit; here it stays out, and so means the input rate.
GENAI_KEYS: Final = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}
LITELLM_KEYS: Final = {
    "input": "input_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_12h": "cache_creation_input_token_cost_above_12hr",
    "output": "output_cost_per_token",
}


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What one list says of one model: nano-USD per 1,000,000 tokens by kind, below and above the cliff."""

    plain: Mapping[str, int]
    long: Mapping[str, int] = field(default_factory=dict)
    start: int | None = None
    context_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class LiteLlm:
    """LiteLLM's list of one provider."""

    version: str
    rows: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls) -> LiteLlm:
        """The list of the installed package, which is not imported: only one file of it is read."""
        spec = importlib.util.find_spec("litellm")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("litellm is not installed: see requirements/prices.in")
        folder = Path(next(iter(spec.submodule_search_locations)))
        text = (folder / "model_prices_and_context_window_backup.json").read_text("utf-8")
        rows = json.loads(text, parse_float=Decimal)  # decimal text: no float on the way
        ours = {name: row for name, row in rows.items() if row.get("litellm_provider") in PROVIDERS}
        return cls(version=importlib.metadata.version("litellm"), rows=ours)

    def listing(self, model: str) -> Listing:
        """Rates and cliff of *model*."""
        row = self.rows[model]
        starts = [int(found[1]) * 1000 for key in row if (found := CLIFF.match(key))]
        if len(starts) > 1:
            raise SystemExit(f"litellm: {model} has several cliffs")
        start = starts[0] if starts else None
        suffix = f"_above_{start // 1000}k_tokens" if start else ""
        long = self._rates(row, suffix) if start else {}
        return Listing(plain=self._rates(row, ""), long=long, start=start)

    @staticmethod
    def _rates(row: Mapping[str, Any], suffix: str) -> dict[str, int]:
        found = {kind: row.get(f"{key}{suffix}") for kind, key in LITELLM_KEYS.items()}
        # 0 means both free and unknown there.
        return {kind: nano(Decimal(rate) * 1_000_000) for kind, rate in found.items() if rate}


class GenAiPrices:
    """genai-prices' list of one provider, as in force on a day."""

    def __init__(self, on: date) -> None:
        try:
            providers = importlib.import_module("genai_prices.data").providers
        except ImportError:
            raise SystemExit("genai-prices is not installed: see requirements/prices.in") from None
        self.version = importlib.metadata.version("genai-prices")
        self._at = datetime(on.year, on.month, on.day, 23, 59, tzinfo=UTC)
        self._models = next(each for each in providers if each.id == "openai").models

    def names(self) -> set[str]:
        """Every exact name in the list; what is matched by a pattern is not listed."""
        found: set[str] = set()
        for model in self._models:
            clauses = getattr(model.match, "or_", [model.match])
            found.update(clause.equals for clause in clauses if hasattr(clause, "equals"))
        return found

    def listing(self, name: str) -> Listing | None:
        """Rates and cliff of exactly *name*."""
        for model in self._models:
            clauses = getattr(model.match, "or_", [model.match])
            if any(getattr(clause, "equals", None) == name for clause in clauses):
                return self._read(model)
        return None

    def _read(self, model: Any) -> Listing | None:
        prices = model.get_prices(self._at)
        plain: dict[str, int] = {}
        long: dict[str, int] = {}
        starts: set[int] = set()
        for kind, key in GENAI_KEYS.items():
            rate = getattr(prices, key, None)
            if rate is None:
                continue
            plain[kind] = nano(getattr(rate, "base", rate))
            for tier in getattr(rate, "tiers", ()):
                starts.add(tier.start)
                long[kind] = nano(tier.price)
        if len(starts) > 1:
            raise SystemExit(f"genai-prices: {model.id} has several cliffs")
        if "input" not in plain:
            return None
        return Listing(
            plain=plain,
            long=long,
            start=starts.pop() if starts else None,
            context_tokens=model.context_window,
        )


def nano(usd_per_million: Decimal) -> int:
    """Nano-USD per 1,000,000 tokens, rounded up where a list carries a float's dust."""
    return int((usd_per_million * NANO_PER_USD).to_integral_value(rounding=ROUND_CEILING))


def base_of(model: str, listed: set[str]) -> str | None:
    """The undated listed name that *model* is a snapshot of."""
    base = BASES.get(model) or SNAPSHOT.sub("", model)
    return base if base != model and base in listed else None


def merged(genai: Listing | None, litellm: Listing) -> tuple[dict[str, int], set[str]]:
    """
    The rates that stand, as fields of a row, and the kinds for which LiteLLM's rate stands.

    Of two rates the dearer. What genai-prices leaves out of a row that it has is the input rate by its own rules, which
    is dearer than a cache discount: so a discount that only LiteLLM states is not taken, a surcharge is.
    """
    if genai is None:
        rates, taken = dict(litellm.plain), set(KINDS)
        long, start = dict(litellm.long), litellm.start
    else:
        rates, more = _dearer(genai.plain, litellm.plain)
        long, more_long = _dearer(genai.long, litellm.long) if genai.long else ({}, set[str]())
        start = genai.start
        if litellm.start and not genai.start:
            long, start, more_long = dict(litellm.long), litellm.start, set(litellm.long)
        elif litellm.start and genai.start and litellm.start != genai.start:
            raise SystemExit("the lists disagree on where a cliff starts")
        taken = more | more_long
    for side in (rates, long):
        # 12 hours cost twice the usual write in every row that states both.
        if "cache_write" in side:
            side.setdefault("cache_write_12h", 2 * side["cache_write"])
    if start:
        rates["long_context_start"] = start
        rates.update({f"long_{kind}": rate for kind, rate in long.items()})
    return rates, taken


def _dearer(ours: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
    rates, taken = dict(ours), set[str]()
    for kind, rate in theirs.items():
        if rate > ours.get(kind, ours["input"]):
            rates[kind] = rate
            taken.add(kind)
    return rates, taken


def build(genai: GenAiPrices, litellm: LiteLlm, on: date) -> tuple[list[ModelPrice], list[str]]:
    """The rows, by name, and why some models of the lists have none."""
    rows: list[ModelPrice] = []
    left_out: list[str] = []
    listed = {
        name
        for name, row in litellm.rows.items()
        if row.get("mode") in FAMILIES and "/" not in name and not name.startswith("ft:")
    }
    # Snapshots that only genai-prices still has: their undated name tells the limits.
    older = {name for name in genai.names() - set(litellm.rows) if base_of(name, listed)}
    for model in sorted(listed | older):
        told = model if model in listed else base_of(model, listed)
        assert told is not None
        facts = litellm.rows[told]
        reason = _left_out(model, facts)
        if reason:
            left_out.append(f"{model}: {reason}")
            continue
        ours = genai.listing(model)
        rates, taken = merged(ours, litellm.listing(told) if told == model else Listing(plain={}))
        if BILLS_CACHE_WRITES.match(model) and "cache_write" not in rates:
            left_out.append(f"{model}: no rate for cache writes is known")
            continue
        source = f"litellm {litellm.version}"
        if ours:
            also = ", ".join(["limits", *(kind for kind in KINDS if kind in taken)])
            source = f"genai-prices {genai.version}; {source}: {also}"
        context_tokens = ours.context_tokens if ours else None
        row = _row(model, facts, rates, source=source, on=on, context_tokens=context_tokens)
        rows.append(msgspec.structs.replace(row, base=base_of(model, listed)))
    rows.extend(_free(model, on) for model in FREE)
    return sorted(rows, key=lambda row: row.model), left_out


def _left_out(model: str, facts: Mapping[str, Any]) -> str | None:
    endpoints = facts.get("supported_endpoints")
    if OTHER_UNITS.search(model):
        return "billed by other units than text tokens"
    if RUNS_TOOLS.search(model):
        return "made for tools that the provider runs"
    place = SERVED_AT.get(FAMILIES[facts["mode"]])
    if endpoints and place not in endpoints:
        return f"not served at {place}"
    if not facts.get("max_input_tokens"):
        return "no input limit is known"
    if FAMILIES[facts["mode"]] in GENERATING and not facts.get("max_output_tokens"):
        return "no output limit is known"
    return None


def _row(
    model: str,
    facts: Mapping[str, Any],
    rates: Mapping[str, int],
    *,
    source: str,
    on: date,
    context_tokens: int | None,
) -> ModelPrice:
    family = FAMILIES[facts["mode"]]
    reasons = bool(facts.get("supports_reasoning"))
    cap: CapField | None = None
    if family == "chat":
        newer = reasons or REFUSES_MAX_TOKENS.match(model)
        cap = "max_completion_tokens" if newer else "max_tokens"
    takes_in = int(facts["max_input_tokens"])
    ends = facts.get("deprecation_date")
    return ModelPrice(
        model=model,
        family=family,
        context_tokens=max(takes_in, context_tokens or 0),
        max_input_tokens=takes_in,
        max_output_tokens=_gives_out(model, facts) if family in GENERATING else None,
        reasons=reasons,
        cap_field=cap,
        images=image_rule(model) if facts.get("supports_vision") else None,
        search=bool(SEARCHES.search(model)),
        ends=date.fromisoformat(ends) if ends else None,
        source=source,
        dated=on,
        **dict(rates),  # type: ignore[arg-type]  # each key is a rate's field
    )


def image_rule(model: str) -> ImageRule | None:
    """How *model* bills images as input; None: not known."""
    return next((rule for pattern, rule in IMAGE_RULES if re.match(pattern, model)), None)


def _gives_out(model: str, facts: Mapping[str, Any]) -> int:
    return max(int(facts["max_output_tokens"]), WIDER_OUTPUT.get(model, 0))


def _free(model: str, on: date) -> ModelPrice:
    base = BASES.get(model)
    return ModelPrice(
        model=model,
        family="moderation",
        base=base,
        free=True,
        context_tokens=FREE_CONTEXT_TOKENS,
        max_input_tokens=FREE_CONTEXT_TOKENS,
        source=FREE_SOURCE,
        dated=on,
    )


def redated(rows: list[ModelPrice], before: Mapping[str, ModelPrice]) -> list[ModelPrice]:
    """*rows*, where one that says the same as before keeps its date, and so its price_id."""
    kept: list[ModelPrice] = []
    for row in rows:
        old = before.get(row.model)
        same = old is not None and msgspec.structs.replace(row, dated=old.dated) == old
        kept.append(old if same and old is not None else row)
    return kept


def as_text(rows: list[ModelPrice]) -> str:
    """The file: one row a line, so that a change of one price is a change of one line."""
    lines = ",\n".join(f"  {row.to_json()}" for row in rows)
    return f"[\n{lines}\n]\n"


def models_table(prices: PriceList) -> str:
    """The table of docs/reference/pricing.md: a line per undated name, and its snapshots beside it."""
    lines = [
        "| model | in | cached | cache write | out | above the cliff: in / out | takes in / gives out | images"
        " | ends |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in prices.rows():
        name = f"`{row.model}`" + (" (searches)" if row.search else "")
        if row.free:
            lines.append(f"| {name} | free | | | | | {row.max_input_tokens:,} | | |")
            continue
        cliff = f"{_usd(row.long_input)} / {_usd(row.long_output)}" if row.long_input else ""
        size = f"{row.max_input_tokens:,}"
        size += f" / {row.max_output_tokens:,}" if row.max_output_tokens else ""
        write = _usd(row.cache_write)
        write += f", 12 h {_usd(row.cache_write_12h)}" if row.cache_write_12h else ""
        rates = (_usd(row.input), _usd(row.cached_input), write, _usd(row.output), cliff)
        lines.append(
            f"| {name} | {' | '.join(rates)} | {size} | {row.images or ''} | {row.ends or ''} |".replace(
                "  ", " "
            )
        )
    return "\n".join(lines)


def with_table(page: str, prices: PriceList) -> str:
    """*page* with the table of *prices* between the two marks."""
    before, found, rest = page.partition(TABLE_BEGIN)
    _, ended, after = rest.partition(TABLE_END)
    if not found or not ended:
        raise SystemExit(f"{PAGE.name} lacks the marks around the table")
    return f"{before}{TABLE_BEGIN}\n{models_table(prices)}\n{TABLE_END}{after}"


def _usd(rate: int | None) -> str:
    return "" if rate is None else f"{usd(rate):f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0].strip())
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--docs", action="store_true", help="write the table of the docs page")
    parser.add_argument("--on", type=date.fromisoformat, help="the day of the prices (today)")
    options = parser.parse_args()
    if options.docs:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), PriceList.load()), "utf-8")
        return 0
    on = options.on or datetime.now(UTC).date()
    rows, left_out = build(GenAiPrices(on), LiteLlm.read(), on)
    there = LIST.read_text("utf-8") if LIST.exists() else "[]"
    before = {row.model: row for row in msgspec.json.decode(there, type=list[ModelPrice])}
    text = as_text(redated(rows, before))
    sys.stdout.write("".join(f"left out: {line}\n" for line in left_out))
    if options.check:
        sys.stdout.write("same\n" if text == there else "differs: run without --check\n")
        return 0 if text == there else 1
    LIST.write_text(text, "utf-8")
    sys.stdout.write(f"{len(rows)} models in {LIST.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
