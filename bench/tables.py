"""The figures as tables of the docs: everything between two markers of a page is made from the figures file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bench import sizing
from bench.cases import NGINX, RIVALS, TABLES, TITLES, TUCKSHOP, Case, Table
from bench.figures import Group

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "docs/performance.md", ROOT / "docs/sizing.md")
_BLOCK: Final = re.compile(
    r"(<!-- figures: (?P<name>[a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL
)
Groups = Mapping[str, Group]


def number(value: float) -> str:
    """With three or four digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(known: Table, group: Group | None) -> str:
    """One group of figures: a line per case, a column per subject, nginx's multiple, the target."""
    if group is None:
        return "Not measured yet.\n"
    has_nginx = NGINX in known.subjects
    has_target = any(case.target for case in known.cases)
    head = ["case", "unit", *(TITLES[subject] for subject in known.subjects)]
    head += ["times nginx"] * (has_nginx and has_target) + ["target"] * has_target
    lines = [_line(head), _line(["---"] * len(head))]
    for case in known.cases:
        values = [group.get(case.id, subject) for subject in known.subjects]
        cells = [case.title, case.unit, *("" if v is None else number(v) for v in values)]
        if has_nginx and has_target:
            ratio = _ratio(case, group)
            cells.append("" if ratio is None else number(ratio))
        if has_target:
            cells.append(verdict(case, group))
        lines.append(_line(cells))
    lines += ["", f"{group.made_at}, {group.how}."]
    return "\n".join(lines) + "\n"


def verdict(case: Case, group: Group) -> str:
    """The target, and whether it is met; empty where there is none."""
    if case.target is None:
        return ""
    judged = _ratio(case, group) if case.target.is_ratio else group.get(case.id, TUCKSHOP)
    unit = " times nginx" if case.target.is_ratio else f" {case.unit}"
    if judged is None:
        return f"≤ {case.target.most:g}{unit}"
    met = "met" if judged <= case.target.most else "**missed**"
    return f"≤ {case.target.most:g}{unit}: {met}"


def targets(groups: Groups) -> str:
    """Every target there is, and how it stands."""
    lines = [_line(["case", "figure", "target"]), _line(["---"] * 3)]
    for known in TABLES.values():
        group = groups.get(known.name)
        for case in known.cases:
            if case.target is None or group is None:
                continue
            is_ratio = case.target.is_ratio
            judged = _ratio(case, group) if is_ratio else group.get(case.id, TUCKSHOP)
            if judged is not None:
                unit = "times nginx" if is_ratio else case.unit
                cells = [case.title, f"{number(judged)} {unit}", verdict(case, group)]
                lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def machine(groups: Groups) -> str:
    """What the figures were made on; more than one machine only where groups were measured apart."""
    made: dict[str, list[str]] = {}
    for name, group in groups.items():
        made.setdefault(group.machine, []).append(name)
    if not made:
        return "Nothing is measured yet.\n"
    if len(made) == 1:
        return f"{next(iter(made))}.\n"
    return "".join(f"- {', '.join(names)}: {told}\n" for told, names in made.items())


def blocks() -> dict[str, Callable[[Groups], str]]:
    """What may stand between markers, by name."""

    def block(known: Table) -> Callable[[Groups], str]:
        return lambda groups: table(known, groups.get(known.name))

    return {
        **{name: block(known) for name, known in TABLES.items()},
        RIVALS.name: block(RIVALS),
        "targets": targets,
        "machine": machine,
        "people": sizing.people,
        "capacity": sizing.capacity,
        "assumptions": lambda _: sizing.assumptions(),
    }


def filled(text: str, groups: Groups) -> str:
    """
    A page with its blocks made anew.

    Raises:
        KeyError: It has a marker of a block that does not exist.
    """
    known = blocks()
    return _BLOCK.sub(
        lambda found: found[1] + "\n" + known[found["name"]](groups) + "\n" + found[3], text
    )


def write(groups: Groups) -> None:
    """Fill all pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), groups), encoding="utf-8")


def _ratio(case: Case, group: Group) -> float | None:
    ours, nginx = group.get(case.id, TUCKSHOP), group.get(case.id, NGINX)
    return ours / nginx if ours is not None and nginx else None


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
