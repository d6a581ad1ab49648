"""
A member who calls, and the books of it: what was answered, what the request's row says, what the provider billed.

For tests of outcomes: `Caller` asks, `assert_exact`, `assert_void` and `assert_bound` are the three ways in which a
call can be charged, and `assert_books_hold` ends every test of faults (M5, M8, M16).
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.conftest import key_of_new_member
from tests.support.oracle import BilledCall, billed_nano_usd, by_client_id, read_bill
from tests.support.processes import Mock, Server, call
from tuckshop.ledger.verify import verify_folder

MODEL = "gpt-4o-mini"
CHAT = "/v1/chat/completions"
BILLED_ERROR = (
    "500-billed"  # the one fault that the table lets go unrecorded until the daily comparison
)


def assert_books_hold(server: Server, mock: Mock) -> None:
    """The checker that ends every fault test: M5, M8, M16, nothing left open."""
    billed = billed_nano_usd(mock.bill)
    for row in rows_of(server):
        if row["status"] == "refused":
            assert row["id"] not in billed, "something refused was dispatched (M15)"
            continue
        recorded, at_provider = nano(row["cost_usd"]), billed.pop(row["id"], 0)
        assert row["status"] != "reserved", row
        if row["tag"] == BILLED_ERROR:
            continue
        assert recorded >= at_provider, row
        if not {"unconfirmed", "estimated"} & set(row["flags"]):
            assert recorded == at_provider, row
    assert billed == {}, "the provider billed calls that have no row"
    report = verify_folder(server.data)
    assert [str(difference) for difference in report.differences] == []


@dataclass
class Caller:
    """A member with one key."""

    server: Server
    mock: Mock
    key: str
    member: str

    def ask(
        self, text: str = "Hi", *, path: str = CHAT, tag: str | None = None, **fields: Any
    ) -> Answer:
        """One call, read to its end or its break."""
        link, reply = self._send(text, path=path, tag=tag, **fields)
        try:
            body = reply.read()
        except (http.client.HTTPException, OSError):
            body = b""
        finally:
            link.close()
        return Answer(reply.status, dict(reply.getheaders()), body)

    def start(self, text: str, **fields: Any) -> tuple[http.client.HTTPConnection, bytes]:
        """A stream of which only the first line is read."""
        link, reply = self._send(text, stream=True, **fields)
        return link, reply.readline()

    def _send(
        self, text: str, *, path: str = CHAT, tag: str | None = None, **fields: Any
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        url = urlsplit(self.server.url)
        link = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
        body = {"model": MODEL, **fields}
        if path == CHAT:
            body |= {"messages": [{"role": "user", "content": text}], "max_tokens": 100} | fields
        else:
            body["input"] = text
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if tag is not None:
            headers["x-tuckshop-tag"] = tag
        link.request("POST", path, json.dumps(body), headers)
        return link, link.getresponse()

    def row(self, within_s: float = 10) -> dict[str, Any]:
        """The row of the call made last, once it has ended."""
        return self.rows(1, within_s)[0]

    def rows(self, count: int, within_s: float = 10) -> list[dict[str, Any]]:
        """All *count* rows, newest first, once all have ended."""
        deadline = time.monotonic() + within_s
        while True:
            rows = rows_of(self.server, member=self.member)
            if len(rows) == count and all(row["status"] != "reserved" for row in rows):
                return rows
            assert time.monotonic() < deadline, rows
            time.sleep(0.02)

    def billed(self, row: dict[str, Any]) -> BilledCall | None:
        """What the provider billed for that call; None: it knows of none."""
        (*calls,) = by_client_id(read_bill(self.mock.bill)).get(row["id"], [])
        assert len(calls) <= 1, "one call of ours, one of theirs (M13)"
        return calls[0] if calls else None

    def limits(self) -> dict[str, tuple[int, int]]:
        """(used, held) of each limit, in nano-USD or counts."""
        found = self.server.made("GET", f"/members/{self.member}")["in_force"]
        return {
            one["limit"]: (nano(one["used"]), nano(one["reserved"]))
            if one["limit"].startswith("$")
            else (one["used"], one["reserved"])
            for one in found
        }

    def spent(self) -> int:
        """What the budget says was used; nothing is held any more."""
        used, held = self.limits()["$1/month"]
        assert held == 0
        return used


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> Any:
        """The code of a refusal, or of the error event that ended a stream."""
        text = self.body
        if text.startswith(b"data: "):
            text = text.rstrip().rpartition(b"data: ")[2]
        return json.loads(text)["error"]["code"]


def nano(usd: float) -> int:
    return round(usd * 1e9)


def rows_of(server: Server, member: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = "limit=200" + (f"&member={member}" if member else "")
    cursor = ""
    while True:
        page = server.made("GET", f"/requests?{query}{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


_numbers = iter(range(10**6))


def new_caller(server: Server, mock: Mock, **group: Any) -> Caller:
    name = f"outcome-{next(_numbers)}"
    each = ["$1/month", "9 concurrent requests", "50 requests/minute"]
    key = key_of_new_member(server, name, **({"each": each} | group))
    (member,) = server.made("GET", f"/groups/{name}/members")["data"]
    return Caller(server, mock, key, member["id"])


def assert_exact(caller: Caller, *flags: str) -> dict[str, Any]:
    """Charged what the provider billed, to the nano-dollar."""
    row = caller.row()
    billed = caller.billed(row)
    assert billed is not None
    assert (row["status"], sorted(row["flags"])) == ("settled", sorted(flags))
    assert nano(row["cost_usd"]) == billed.cost_nano_usd > 0
    assert (row["input_tokens"], row["output_tokens"]) == (
        billed.input_tokens,
        billed.output_tokens,
    )
    assert caller.spent() == billed.cost_nano_usd
    return row


def assert_void(caller: Caller, http_status: int, error: str) -> None:
    """Nothing charged, nothing held, nothing counted."""
    row = caller.row()
    assert (row["status"], row["flags"], row["cost_usd"]) == ("voided", [], 0)
    assert (row["http_status"], row["error"]) == (http_status, error)
    assert set(caller.limits().values()) == {(0, 0)}


def assert_bound(caller: Caller, *flags: str) -> dict[str, Any]:
    """Charged all that was held, and said so."""
    row = caller.row()
    assert (row["status"], sorted(row["flags"])) == ("settled", sorted(["unconfirmed", *flags]))
    billed = caller.billed(row)
    assert row["output_tokens"] == 100
    assert nano(row["cost_usd"]) >= (billed.cost_nano_usd if billed else 0)
    assert nano(row["cost_usd"]) == 150 * row["input_tokens"] + 600 * 100
    assert caller.spent() == nano(row["cost_usd"])
    return row


def alarms(server: Server, alarm: str) -> int:
    """How often this alarm was raised."""
    page = str(call("GET", f"{server.url}/metrics")[1])
    return int(float(page.partition(f'tuckshop_alarms_total{{alarm="{alarm}"}} ')[2].split()[0]))


def until(condition: Callable[[], Any], within_s: float = 5) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
