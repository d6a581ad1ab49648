"""
Writes docs/explanation/guarantees.md: every rule of tools/guarantees.toml beside the tests that name its id.

    python -m tools.build_guarantees

A test names a rule by quoting its id in its own docstring, or in its module's, which then holds for all tests of that
file. Another test fails while the page differs from what this writes, and while a rule has no test.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "explanation" / "guarantees.md"
_RULES: Final = Path(__file__).with_name("guarantees.toml")
_ID: Final = re.compile(
    r"\b[MRDEKP][0-9]{1,2}\b|\b[Ss]ection 12\b"
)  # that one has no ids of its own

_HEAD: Final = """# What is guaranteed, and what proves it

<!-- Made by `python -m tools.build_guarantees` from tools/guarantees.toml and the tests; not to be edited. -->

Each rule has an id, which code, tests and commits quote. Beside it stand the tests that would fail if it were broken;
"the whole file" means that all tests of the file are about it. All of them run in `make test`, the longest races and
kills again in `make soak`. How the ledger keeps these promises is told in [the ledger](ledger.md), what the edge
refuses in [the edge](edge.md). Rules for several servers over one PostgreSQL come with those servers.
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A test, or a file of tests, that names a rule."""

    path: Path  # from the root of the project
    test: str | None  # None: the whole file


def sections() -> list[dict[str, Any]]:
    """The rules in their order: `title`, `about`, and `rules` as id → sentence."""
    found: list[dict[str, Any]] = tomllib.loads(_RULES.read_text(encoding="utf-8"))["section"]
    return found


@cache
def proofs() -> Mapping[str, list[Proof]]:
    """Rule id → what names it, by file and then in the order of the file."""
    found: dict[str, list[Proof]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ast.parse(file.read_text(encoding="utf-8"))
        path = file.relative_to(ROOT)
        whole = _ids(module)
        for rule in whole:
            found.setdefault(rule, []).append(Proof(path=path, test=None))
        for test in _tests(module):
            for rule in _ids(test) - whole:
                found.setdefault(rule, []).append(Proof(path=path, test=test.name))
    return found


def page() -> str:
    """The whole page."""
    by_rule = proofs()
    parts = [_HEAD]
    for section in sections():
        parts.append(f"\n## {section['title']}\n")
        if section["about"]:
            parts.append(f"\n{section['about']}\n")
        parts.append("\n| rule | what holds | tests |\n| --- | --- | --- |\n")
        for rule, sentence in section["rules"].items():
            parts.append(f"| {rule} | {sentence} | {_shown(by_rule.get(rule, []))} |\n")
    return "".join(parts)


def _shown(rows: list[Proof]) -> str:
    by_file: dict[Path, list[str]] = {}
    for proof in rows:
        name = "the whole file" if proof.test is None else f"`{proof.test.removeprefix('test_')}`"
        by_file.setdefault(proof.path, []).append(name)
    return "<br>".join(
        f"[{path.relative_to('tests').with_suffix('')}](../../{path}): {', '.join(names)}"
        for path, names in by_file.items()
    )


def _tests(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            yield node


def _ids(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    found = _ID.findall(ast.get_docstring(node) or "")
    return {rule[0].lower() + rule[1:] if " " in rule else rule for rule in found}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
