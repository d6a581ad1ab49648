"""docs/dependencies.md names every package that the requirements files pin, and no other (K18)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/dependencies.md").read_text()


def pinned(name: str) -> set[str]:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE))


def named(*titles: str) -> set[str]:
    found: set[str] = set()
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        if section.startswith(titles):
            for row in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE):
                found |= {word.strip() for word in row.split(",")}
    return found - {"package", "---"}


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("run", ("At run time",)),
        ("dev", ("At run time", "To install", "In development")),
    ],
)
def test_the_page_names_exactly_what_is_pinned(name: str, titles: tuple[str, ...]) -> None:
    assert named(*titles) == pinned(name)


def test_every_pin_has_hashes_and_no_file_names_a_host() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        pins = re.findall(r"^[a-z0-9._-]+==[^\n]*\n((?:    --hash[^\n]*\n?)*)", text, re.MULTILINE)
        assert pins, path
        assert all("--hash=sha256:" in hashes for hashes in pins), path
        assert "://" not in text, path


NODE_FOLDERS = ("tests/acceptance/node", "tests/clients/node")


def test_the_page_names_every_client_library_that_is_asked_for() -> None:
    asked = {
        name for path in ROOT.glob("requirements/clients*.in") for name in path.read_text().split()
    }
    for folder in NODE_FOLDERS:
        asked |= json.loads((ROOT / folder / "package.json").read_text())["dependencies"].keys()

    assert named("Client libraries") == asked


@pytest.mark.parametrize("folder", NODE_FOLDERS)
def test_every_node_package_has_a_hash_and_none_says_where_it_comes_from(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
