"""The page behind an appeal link, in a real browser; and under which rules it is shown."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.test_claim_page import PUBLIC_URL, page_of
from tests.support.browser import chromium, faults_of
from tests.support.flagged import flag
from tests.support.processes import Server, start_server

NAME = "Ada <img src=x onerror=alert(1)> Lovelace"
WORDS = "It was a quotation <b>from</b> the lecture."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("appeals"), None, TUCKSHOP_PUBLIC_URL=PUBLIC_URL)
    server.made("POST", "/groups", {"name": "swa", "title": "Software architecture"})
    yield server
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def flagged(server: Server, number: int) -> tuple[str, str]:
    """A member who was flagged and paused, as (member's id, address of a link of theirs here)."""
    made = server.made(
        "POST", "/groups/swa/members", {"external_id": f"{4711 + number}", "name": NAME}
    )
    member = made["data"][0]["id"]
    flag(server, member)
    server.made("POST", f"/members/{member}/pause")
    url = str(server.made("POST", f"/members/{member}/appeal-links")["url"])
    return member, url.replace(PUBLIC_URL, server.url)


@pytest.mark.parametrize(("number", "scheme"), [(1, "light"), (2, "dark")])
def test_a_member_says_something_by_keyboard_at_the_width_of_a_phone(
    server: Server, browser: Browser, number: int, scheme: Any
) -> None:
    """Section 12, K13: a name is text, axe finds nothing, nor does the console; the words arrive as they are."""
    page, complaints = page_of(browser, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    member, link = flagged(server, number)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(link)
    assert faults_of(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "show"
    page.keyboard.press("Enter")
    page.wait_for_selector("#flagged:not([hidden])")

    assert page.inner_text("#whose") == f"Software architecture: {NAME}"
    assert "You are paused" in page.inner_text("#standing")
    assert "not sent on, for a word that is not allowed here" in page.inner_text("#flags")
    assert faults_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.type(WORDS)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#sent:not([hidden])")

    assert page.evaluate("document.activeElement.id") == "thanks"
    assert faults_of(page) == []
    assert link.partition("#")[2] not in page.url  # it is out of the browser's history
    assert {url.partition("#")[0] for url in asked} == {
        f"{server.url}/appeal/",
        f"{server.url}/api/v1/appeal/flags",
        f"{server.url}/api/v1/appeal",
    }
    assert [one for one in complaints if "favicon" not in one] == []
    (shown,) = server.made("GET", f"/moderation/flags?member={member}")["data"]
    appeals = server.made("GET", f"/moderation/flags/{shown['id']}")["appeals"]
    assert [(one["by"], one["reason"]) for one in appeals] == [(f"member:{member}", WORDS)]
    page.close()


def test_nothing_is_sent_empty_and_a_used_link_says_so(server: Server, browser: Browser) -> None:
    page, _ = page_of(browser)
    _, link = flagged(server, 3)
    page.goto(link)
    page.click("#show")
    page.wait_for_selector("#flagged:not([hidden])")
    page.click("#send")
    expect(page.locator("#status")).to_have_text("Write something first.")
    page.fill("#words", "x" * 1_900)
    assert page.inner_text("#left") == "100 characters left"
    page.click("#send")
    page.wait_for_selector("#sent:not([hidden])")

    page.goto("about:blank")
    page.goto(link)
    page.click("#show")
    page.wait_for_selector("#problem:not([hidden])")

    assert "has arrived" in page.inner_text("#reason")
    assert not page.is_visible("#show")
    assert faults_of(page) == []
    page.goto("about:blank")
    page.goto(f"{server.url}/appeal")  # without the last slash, and without a secret
    assert page.url == f"{server.url}/appeal/"
    assert "Copy the whole link" in page.inner_text("#reason")
    page.close()


def test_the_page_loads_nothing_keeps_nothing_and_may_not_be_framed(server: Server) -> None:
    """K13, K1: and no link stands in a file or the log."""
    _, link = flagged(server, 4)
    with urllib.request.urlopen(link, timeout=10) as reply:
        headers, body = reply.headers, reply.read()

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert b"//" not in body.replace(b"// ", b"")  # it names no other address
    secret = link.partition("#")[2].encode()
    for path in [server.log, *server.data.rglob("*")]:
        if path.is_file():
            assert secret not in path.read_bytes(), path
