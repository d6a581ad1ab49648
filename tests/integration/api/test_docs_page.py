"""`/api/docs`: a page that loads nothing, runs nothing and tells nothing of who is here (K13, K17)."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

import pytest

from tests.integration.api.conftest import Counter
from tuckshop.api.app import all_routes

pytestmark = pytest.mark.anyio
ROUTES = all_routes(lambda: None)
VOID = {"meta", "wbr"}


class Reader(HTMLParser):
    """What is on a page, and whether its elements are nested as they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.style = ""
        self.headings: list[int] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.targets += [found["href"] or ""] if "href" in found else []
        if tag[0] == "h" and tag[1:].isdigit():
            self.headings.append(int(tag[1:]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data


async def test_it_loads_and_runs_nothing(counter: Counter) -> None:
    answer = await counter.admin.send("GET", "/api/docs", token="")
    page = Reader(answer.body.decode())

    policy = answer.headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert (answer.status, answer.headers["x-content-type-options"]) == (200, "nosniff")
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert not page.names & {"script", "img", "link", "iframe", "form", "object", "svg"}
    assert not {name for name in page.attributes if name.startswith("on")} | (
        page.attributes & {"src", "style"}
    )
    assert all(target.startswith(("#", "/api/openapi.json")) for target in page.targets)


async def test_its_anchors_lead_somewhere_and_its_headings_follow_each_other(
    counter: Counter,
) -> None:
    page = Reader((await counter.admin.send("GET", "/api/docs", token="")).body.decode())

    assert len(page.ids) == len(set(page.ids))
    assert {target[1:] for target in page.targets if target.startswith("#")} <= set(page.ids)
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    assert page.headings.count(1) == 1


async def test_every_call_is_there_and_nobody_else(counter: Counter) -> None:
    before = await counter.admin.send("GET", "/api/docs", token="")
    await counter.chain(title="A course nobody should read of")
    after = await counter.admin.send("GET", "/api/docs", token="")

    assert after.body == before.body  # K17
    text = after.body.decode().replace("<wbr>", "")
    for route in ROUTES:
        assert f"{route.method}</b> <code>{route.path}</code>" in text


async def test_the_description_names_every_status_that_a_route_may_refuse_with(
    counter: Counter,
) -> None:
    paths = (await counter.admin.get("/api/openapi.json")).json["paths"]
    group = paths["/api/v1/groups/{group}"]

    assert {"200", "401", "403", "404", "412", "422"} <= group["patch"]["responses"].keys()
    assert "412" not in group["get"]["responses"]
    assert "ETag" in group["get"]["responses"]["200"]["headers"]
    named = [one["name"] for one in paths["/api/v1/groups"]["post"]["parameters"]]
    assert named == ["Idempotency-Key"]
