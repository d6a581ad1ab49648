"""
P11: which code may know who a member is, so that a group that hides it can be held to that in one place.

Everything else asks the directory, which gives members under their pseudonyms. Whoever adds a line here says why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import tuckshop

SOURCE: Final = Path(tuckshop.__file__).parent
PERSONAL: Final = frozenset({"external_id", "external_id_folded", "name", "email"})

# Asks `Directory.person`.
ASKERS: Final = {
    "services/erasing/erasing.py": "refuses a reason that names whoever is erased",
    "services/handing_out.py": "names the rows of keys for a reason, which is noted before",
    "services/identities.py": "opens a pseudonym for a reason",
    "services/mail_letters.py": "writes to the member; a preview is written to the pseudonym",
    "services/mail_recipients.py": "hands the address to the mail server; shows the pseudonym",
    "services/notices/passing_on.py": "hands the address to the mail server",
    "services/papers/writing.py": "counts of whom it is known who they are; shows nobody",
    "services/persons.py": "finds the members that one person is; gives them under their pseudonyms",
    "services/takeover/taking.py": "finds by id whom another gateway's file names; answers with sums",
}
# Reads whole rows of members, or these columns, from the database.
READERS: Final = {
    "services/bulk.py": "before and after of a change, for the audit trail, which holds no names",
    "services/erasing/returning.py": "finds by a trace the nameless row of who comes back",
    "services/member_authority.py": "finds members by the rows of a roster; answers with refusals",
    "services/members.py": "before and after of a change; searches where names are shown",
    "services/roster.py": "puts a roster in",
    "services/roster_preview.py": "compares a roster; told whether it may tell",
}


def asks(tree: ast.Module) -> bool:
    """Whether it takes `person` of something."""
    return any(isinstance(node, ast.Attribute) and node.attr == "person" for node in ast.walk(tree))


def reads(tree: ast.Module) -> bool:
    """Whether it selects the table of members, or one of its columns that say who somebody is."""
    return any(_is_whole_row(node) or _is_column(node) for node in ast.walk(tree))


def _is_whole_row(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "select"
        and any(_is_table(one) for one in node.args)
    )


def _is_column(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in PERSONAL
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "c"
        and _is_table(node.value.value)
    )


def _is_table(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return name == "members"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_the_list_of_those_who_ask_who_a_member_is_is_whole() -> None:
    """P11."""
    assert {path for path, tree in modules() if asks(tree)} == ASKERS.keys()


def test_the_list_of_those_who_read_it_from_the_database_is_whole() -> None:
    """P11."""
    assert {path for path, tree in modules() if reads(tree)} == READERS.keys()


@pytest.mark.parametrize(
    "code",
    [
        "select(members).where(members.c.id == 1)",
        "query.where(members.c.email == 'x')",
        "select(members.c.id, members.c.name)",
        "select(schema.members)",
    ],
)
def test_the_lists_would_see_it(code: str) -> None:
    assert reads(ast.parse(code))
    assert asks(ast.parse("directory.person('mem_1')"))
    assert not reads(ast.parse("select(members.c.id)"))
