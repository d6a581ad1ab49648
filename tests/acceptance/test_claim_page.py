"""The page behind a claim link, in a real browser; and where it is served, what it may do, what it leaves behind."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, faults_of
from tests.support.processes import Server, call, start_server
from tuckshop.domain.keys import is_well_formed

PUBLIC_URL = (
    "http://tuckshop.example.org"  # what links are built from; the tests go by the real address
)
FORM = {"external_id": "4711", "name": "Ada <img src=x onerror=alert(1)> Lovelace"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("claims"), None, TUCKSHOP_PUBLIC_URL=PUBLIC_URL)
    server.made(
        "POST",
        "/groups",
        {
            "name": "swa",
            "title": "Software architecture",
            "each": ["$0.20/month", "35 requests/minute on gpt-4o-mini"],
            "models": ["gpt-4o-mini", "text-embedding-*"],
            "logging": {"bodies": "flagged", "purpose": "<b>appeals</b>"},
        },
    )
    server.made("PATCH", "/privacy", {"notice_url": "https://uni.example.org/privacy"})
    yield server
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def new_link(server: Server, external_id: str = "4711") -> str:
    """The address at which a new link of a member is reached here."""
    made = server.made("POST", "/groups/swa/members", FORM | {"external_id": external_id})
    url = server.made("POST", f"/members/{made['data'][0]['id']}/claim-links")["url"]
    return str(url).replace(PUBLIC_URL, server.url)


def page_of(browser: Browser, **options: Any) -> tuple[Page, list[str]]:
    """A page, and the list into which whatever it complains of goes."""
    page = browser.new_page(**options)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_member_picks_up_a_key_by_keyboard_at_the_width_of_a_phone(
    server: Server, browser: Browser, scheme: Any
) -> None:
    """K1, K13: the key is shown, copied and nowhere kept; a name is text; axe finds nothing, nor does the console."""
    page, complaints = page_of(browser, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = new_link(server, f"keyboard-{scheme}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(link)
    assert faults_of(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "show"
    page.keyboard.press("Enter")
    page.wait_for_selector("#claimed:not([hidden])")

    key = page.inner_text("#key")
    assert is_well_formed(key)
    assert "Ada <img src=x onerror=alert(1)> Lovelace" in page.inner_text("#whose")
    assert "$0.20 a month, renews " in page.inner_text("#limits")
    assert "kept for this purpose: <b>appeals</b>." in page.inner_text("#privacy")  # P5
    assert page.get_attribute("#notice", "href") == "https://uni.example.org/privacy"
    assert page.inner_text("#base") == f"{PUBLIC_URL}/v1"
    assert page.evaluate("document.activeElement.id") == "whose"
    for closed in page.query_selector_all("details:not([open]) summary"):
        closed.click()
    assert faults_of(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.focus("#key + button")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == key
    python = page.locator("details", has_text="Python").locator("pre").text_content() or ""
    compile(python, "snippet", "exec")
    assert key in python
    assert link.partition("#")[2] not in page.url  # it is out of the browser's history
    assert {url.partition("#")[0] for url in asked} == {
        f"{server.url}/claim/",
        f"{server.url}/api/v1/claim",
    }
    assert [one for one in complaints if "favicon" not in one] == []
    assert call("GET", f"{server.url}/api/v1/me", token=key)[0] == 200
    page.close()


def test_a_link_that_was_opened_says_so_and_what_to_do(server: Server, browser: Browser) -> None:
    page, _ = page_of(browser)
    link = new_link(server, "twice")
    for _ in range(2):
        page.goto("about:blank")
        page.goto(link)
        page.click("#show")
        page.wait_for_selector("#claimed:not([hidden]), #problem:not([hidden])")
        page.evaluate("window.onbeforeunload = null")

    assert "opened already" in page.inner_text("#reason")
    assert not page.is_visible("#show")
    assert faults_of(page) == []
    page.goto("about:blank")
    page.goto(f"{server.url}/claim")  # without the last slash, and without a secret
    assert page.url == f"{server.url}/claim/"
    assert "Copy the whole link" in page.inner_text("#reason")
    page.close()


def test_a_page_of_somebody_else_opens_nothing(server: Server, browser: Browser) -> None:
    """K12: neither by script nor by a form, nor can it show the page in a frame."""
    page, _ = page_of(browser)
    link = new_link(server, "crossed")
    secret = link.partition("#")[2]
    other = server.url.replace("127.0.0.1", "localhost")
    page.goto(f"{other}/healthz")

    outcome = page.evaluate(
        """async ([url, secret]) => {
          const send = (mode, type) => fetch(url, {method: "POST", mode, headers: {"content-type": type},
            body: JSON.stringify({secret})}).then(r => String(r.status), () => "refused");
          return [await send("cors", "application/json"), await send("no-cors", "text/plain")];
        }""",
        [f"{server.url}/api/v1/claim", secret],
    )

    assert outcome[0] == "refused"
    page.goto(link)
    page.click("#show")
    page.wait_for_selector("#claimed:not([hidden])")
    page.close()


def test_loading_the_page_says_nothing_and_burns_nothing(server: Server) -> None:
    """K12, K13: what mail gateways and previews do; and under which rules the page is shown."""
    link = new_link(server, "previewed")
    for method in ("HEAD", "GET"):
        request = urllib.request.Request(link, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert reply.status == 200
    with urllib.request.urlopen(link, timeout=10) as reply:
        headers, body = reply.headers, reply.read()

    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert b"//" not in body.replace(b"// ", b"")  # it names no other address
    assert opened(server, link)[0] == 200


def test_link_and_key_stand_in_no_file_and_no_log(server: Server) -> None:
    """K1."""
    link = new_link(server, "canary")
    status, shown = opened(server, link)
    assert status == 200
    opened(server, link)
    call("GET", f"{server.url}/claim/")

    secrets = [link.partition("#")[2].encode(), shown["key"].encode()]
    for path in [server.log, *server.data.rglob("*")]:
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


def test_with_two_listeners_links_open_on_that_of_the_key_holders(tmp_path: Path) -> None:
    """K4: there they need no more than the page and the call it makes; the admin's has them too."""
    server = start_server(
        tmp_path,
        None,
        TUCKSHOP_PUBLIC_URL=PUBLIC_URL,
        TUCKSHOP_ADMIN_HOST="127.0.0.1",
        TUCKSHOP_ADMIN_PORT="0",
    )
    try:
        server.made("POST", "/groups", {"name": "swa"})
        link = new_link(server)
        calls_url = listening_on(server)
        assert calls_url != server.url
        page = call("GET", f"{calls_url}/claim/")
        refused = call("POST", f"{calls_url}/api/v1/groups/swa/claim-links")
        status, shown = opened(server, link.replace(server.url, calls_url))
    finally:
        assert server.stop() == 0
    assert (page[0], "<h1>Your key</h1>" in page[1]) == (200, True)
    assert refused[0] == 404
    assert (status, is_well_formed(shown["key"])) == (200, True)


def test_a_server_killed_before_its_answer_leaves_no_key_that_opens(tmp_path: Path) -> None:
    """K1, M14: nobody saw that key; the next link replaces it, and the member has one key, not two."""
    server = start_server(
        tmp_path,
        None,
        TUCKSHOP_PUBLIC_URL=PUBLIC_URL,
        command=(sys.executable, "-m", "tests.support.killed_claim", "serve"),
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    server.made("POST", "/groups", {"name": "swa"})
    link = new_link(server)
    with pytest.raises(OSError, match=r".*"):
        opened(server, link)
    server.process.wait(10)

    server = start_server(tmp_path, None, TUCKSHOP_PUBLIC_URL=PUBLIC_URL)
    try:
        [lost] = server.made("GET", "/keys")["data"]
        again = opened(server, f"{server.url}/claim/#{link.partition('#')[2]}")
        status, shown = opened(server, new_link(server))
        [key] = server.made("GET", "/keys")["data"]
    finally:
        assert server.stop() == 0
    assert again[0] == 410
    assert status == 200
    assert key["id"] == lost["id"]
    assert key["last4"] == shown["key"][-4:] != lost["last4"]


def test_many_openings_of_one_link_at_once_give_one_key(server: Server) -> None:
    link = new_link(server, "raced")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: opened(server, link), range(50)))

    assert sorted(status for status, _ in answers) == [200] + [410] * 49


def opened(server: Server, link: str) -> tuple[int, Any]:
    """(status, JSON) of what the page's button does."""
    url, _, secret = link.partition("/claim/#")
    request = urllib.request.Request(
        f"{url}/api/v1/claim",
        data=json.dumps({"secret": secret}).encode(),
        headers={"content-type": "application/json", "origin": url},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def listening_on(server: Server) -> str:
    """The address of the data plane, as the log tells it."""
    line = next(line for line in server.log.read_text().splitlines() if "listening on http" in line)
    return "http://" + line.partition("http://")[2].split(",")[0]
