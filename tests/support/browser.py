"""Debian's Chromium, driven by Playwright; pages are judged by axe's rules for WCAG 2.2 AA."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM: Final = "/usr/bin/chromium"
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window; the test is skipped where there is none."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip("needs Debian's package chromium (make test-packages)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync"),
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


def faults_of(page: Page) -> list[str]:
    """What axe finds wrong with *page* as it stands."""
    found: Any = Axe().run(
        page, options={"runOnly": {"type": "tag", "values": _RULES}, "resultTypes": ["violations"]}
    )
    return [
        f"{one['id']}: {node['html']}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]
