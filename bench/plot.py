"""The figures as a picture: bars by panel, in SVG written by hand, readable on light and on dark ground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from bench.cases import LOG_ROWS, NGINX, RATES, RIVALS, TABLES, TITLES, TUCKSHOP
from bench.figures import Group

FILE: Final = Path(__file__).parents[1] / "docs/performance.svg"
WIDTH: Final = 760
LABELS: Final = 270  # where bars begin
BARS: Final = 400  # the longest
BAR: Final = 16
STEP: Final = 24
PANEL: Final = 62  # a panel's title and the room above it
# One colour for us, one for nginx, one for others; each is told in words too, so none has to be told apart by colour.
STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .note { fill: #59636e; font-size: 12px }
.ours { fill: #0969da } .nginx { fill: #818b98 } .other { fill: #bf8700 } .target { stroke: #1f2328; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 }
  .ours { fill: #4493f8 } .nginx { fill: #9198a1 } .other { fill: #d29922 } .target { stroke: #f0f6fc }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One value; *most* is a target that it should not pass."""

    label: str
    value: float
    style: str
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit, the longest as long as there is room."""

    title: str
    note: str
    bars: tuple[Bar, ...]


def plotted(groups: Mapping[str, Group]) -> str:
    """The picture."""
    parts: list[str] = []
    top = 0
    for panel in _panels(groups):
        parts += _drawn(panel, top)
        top += PANEL + STEP * len(panel.bars)
    height = top + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-label="What a call costs through tuckshop and through others">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _panels(groups: Mapping[str, Group]) -> Iterator[Panel]:
    yield from _beside_nginx(groups)
    for rate in RATES if "latency" in groups else ():
        yield Panel(
            f"Time added to a call, {rate} calls a second",
            "ms; the rate is kept whatever the answers do",
            _bars(groups["latency"], [f"added-p50-{rate}", f"added-p99-{rate}"]),
        )
    if "growth" in groups:
        group = groups["growth"]
        bars = tuple(
            Bar(f"{rows:,} rows in the log", value, "ours")
            for rows in LOG_ROWS
            if (value := group.get(f"growth-cpu-{rows}", TUCKSHOP)) is not None
        )
        yield Panel("CPU of a chat request, by length of the log", "µs", bars)
    if "rivals" in groups:
        yield Panel(
            "CPU of a chat request, beside other gateways",
            "µs; the others as plain as they come, without budgets or a database",
            _bars(groups["rivals"], ["rival-cpu"]),
        )


def _beside_nginx(groups: Mapping[str, Group]) -> Iterator[Panel]:
    for name, title, cases in (
        ("requests", "CPU of a chat request, beside nginx", ("chat-32", "chat-256")),
        ("events", "CPU of an event of a stream, beside nginx", ("event-200", "event-1000")),
    ):
        if name in groups:
            yield Panel(title, "µs; upright line: the most it may be", _bars(groups[name], cases))


def _bars(group: Group, cases: list[str] | tuple[str, ...]) -> tuple[Bar, ...]:
    known = {case.id: case for table in (*TABLES.values(), RIVALS) for case in table.cases}
    bars = []
    for case in cases:
        nginx = group.get(case, NGINX)
        for subject, value in group.values.get(case, {}).items():
            target = known[case].target if subject == TUCKSHOP else None
            most = target.most * nginx if target and target.is_ratio and nginx else None
            detail = _detail(known[case].title)
            label = f"{TITLES[subject].replace('`', '')}{detail}"
            style = {NGINX: "nginx", TUCKSHOP: "ours", "process": "ours"}.get(subject, "other")
            bars.append(Bar(label, value, style, most))
    return tuple(bars)


def _detail(title: str) -> str:
    """What tells a case from its neighbours in the panel."""
    if title.startswith("added to the "):
        return f", {title.removeprefix('added to the ').partition(',')[0]}"
    return f", {title.partition(', ')[2]}"


def _drawn(panel: Panel, top: int) -> Iterator[str]:
    longest = max([*(b.value for b in panel.bars), *(b.most or 0 for b in panel.bars)], default=1)
    scale = BARS / max(longest, 1e-9)
    yield f'<text class="title" x="10" y="{top + 34}">{escape(panel.title)}</text>'
    yield f'<text class="note" x="10" y="{top + 51}">{escape(panel.note)}</text>'
    for number, bar in enumerate(panel.bars):
        y = top + PANEL + STEP * number
        middle = y + BAR - 3
        length = max(1.0, bar.value * scale)
        yield f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>'
        yield f'<rect class="{bar.style}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        at = LABELS + length
        if bar.most is not None:
            line = LABELS + bar.most * scale
            yield f'<path class="target" d="M{line:.1f} {y - 3}v{BAR + 6}"/>'
            if at < line < at + 70:
                at = line
        yield f'<text x="{at + 6:.1f}" y="{middle}">{_told(bar.value)}</text>'


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
