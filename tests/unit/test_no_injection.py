"""K7: SQL is written by us and values are bound to it; no pattern, template or code is made from input."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "tuckshop"
MODULES = {
    file.relative_to(SOURCE).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
    for file in sorted(SOURCE.rglob("*.py"))
    if "migrations" not in file.parts  # they run once, on no one's input
}
_FIRST_WORDS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ", "ATTACH ", "VACUUM ")
# What may stand between braces inside SQL: names of columns and clauses with question marks, all written in that file.
MADE_HERE = {
    "keeping/body_file.py": {
        *(
            "APPLICATION_ID",
            "BUSY_TIMEOUT_MS",
            "PAGE_BYTES",
            "PIECE_PAGES",
            "PIECE_ROWS",
            "VERSION",
        ),
        *("_COLUMNS", "max(max_bytes // PAGE_BYTES, 16)", "name", "where"),
    },
    "ledger/backup.py": {"table"},
    "ledger/carry_rows.py": {"where"},
    "ledger/corrections.py": {"ROW_COLUMNS"},
    "ledger/day_sums.py": {
        *("_ADD", "_NAMES", "_SUMMED", "key", "marks", "name", "of", "table.key", "table.name"),
    },
    "ledger/replay.py": {"ROW_COLUMNS"},
    "ledger/sums.py": {"ROW_COLUMNS", "columns", "where", "_COUNTING", "DIRECT_ROWS_MAX + 1"},
    "ledger/verify.py": {"ROW_COLUMNS", "columns", "names"},
    "storage/schema_version.py": {"APPLICATION_ID"},
    "storage/session.py": {"mode"},
    "storage/sqlite.py": {"name", "wanted"},
}
# Patterns that a function compiles from a table of ours, once.
PATTERNS_OF_TABLES = {"protocols/openai/table.py"}
_RAW = {"exec_driver_sql", "literal_column", "executescript"}
_RUNS_CODE = {"eval", "exec", "__import__"}


def calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call with its name as written, such as `re.compile`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


def test_only_our_own_words_are_put_into_sql() -> None:
    between = {
        path: {
            ast.unparse(part.value)
            for node in ast.walk(module)
            if isinstance(node, ast.JoinedStr)
            and isinstance(node.values[0], ast.Constant)
            and str(node.values[0].value).startswith(_FIRST_WORDS)
            for part in node.values
            if isinstance(part, ast.FormattedValue)
        }
        for path, module in MODULES.items()
    }

    assert {path: names for path, names in between.items() if names} == MADE_HERE


def test_nothing_that_came_from_outside_is_run() -> None:
    running = [
        f"{path}: {ast.unparse(call)}"
        for path, module in MODULES.items()
        for name, call in calls(module)
        if name in _RUNS_CODE or name.rpartition(".")[2] in _RAW
    ]

    assert running == []


def test_nothing_that_came_from_outside_is_a_pattern() -> None:
    patterns = {
        f"{path}: {ast.unparse(call)}"
        for path, module in MODULES.items()
        if path not in PATTERNS_OF_TABLES
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for name, call in calls(ast.Module(function.body, []))
        if name.startswith("re.") and name != "re.escape"
        if not isinstance(call.args[0], ast.Constant)
    }

    assert patterns == set()
