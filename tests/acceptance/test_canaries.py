"""
Prompts, answers, keys and names never reach logs, metrics, errors or files (P1, K2, K17).

A server is led through everything that can go wrong, with things in each prompt, name and credential that are found
again by a search: refusals, all faults of the upstream, hostile requests, errors that are made of all they know, a mail
server and a webhook that fail in the words they were given. All calls are kept and checked, what they ask and what is
answered, and staff see pseudonyms. Then everything that it wrote is searched.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty import FAIL, MARK, POINTS
from tests.support.processes import (
    ADMIN_TOKEN,
    CREDENTIAL,
    Mock,
    Server,
    call,
    start_mock,
    start_server,
)
from tests.support.smtp_server import MailServer, mail_server
from tests.support.webhook_receiver import Receiver, webhook_receiver
from tuckshop.mock_upstream.faults import FAULTS

ADDRESS = "CANARYname@example.org"
ASKED = "CANARYasked"
ANSWERED = "CANARYanswered"
NAME = "CANARYname"
NOT_SO_FAST = {"hang", "hang-after-head", "hang-mid-stream"}  # they take as long as a deadline
SLOW = {"byte-by-byte", "drip"}


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    mock = start_mock(tmp_path_factory.mktemp("upstream"))
    yield mock
    mock.stop()


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """It repeats what it was told."""
    refusal = f"550 5.1.1 <{ADDRESS}>: no {NAME} here"
    with mail_server(MailServer(rcpt={ADDRESS: refusal})) as server:
        yield server


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    """It never takes anything, and says so with what it should not know."""
    with webhook_receiver() as receiver:
        receiver.status, receiver.says = 500, f"{NAME} of {ADDRESS} was not taken"
        yield receiver


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, mock: Mock, mail: MailServer
) -> Iterator[Server]:
    server = start_server(
        tmp_path_factory.mktemp("server"),
        mock.url,
        command=(sys.executable, "-m", "tests.support.faulty", "serve"),
        PYTHONPATH=str(Path(__file__).parents[2]) + ":" + ":".join(sys.path),
        TUCKSHOP_LOG_LEVEL="debug",
        TUCKSHOP_LOG_FORMAT="json",
        TUCKSHOP_DRAIN_SECONDS="1",
        TUCKSHOP_EDGE_UPSTREAM_GAP_TIMEOUT_S="1",
        TUCKSHOP_EDGE_UPSTREAM_FIRST_BYTE_TIMEOUT_S="1",
        TUCKSHOP_EDGE_REQUEST_TIMEOUT_S="3",
        TUCKSHOP_SMTP_URL=mail.url(),
        TUCKSHOP_MAIL_FROM="Tuckshop <tuckshop@example.org>",
        TUCKSHOP_MAIL_PER_MINUTE="60000",
        TUCKSHOP_PUBLIC_URL="http://127.0.0.1:8000",
    )
    yield server
    if server.process.poll() is None:
        server.stop()


def send(
    server: Server, path: str, body: bytes, key: str, *, tag: str = "x", method: str = "POST"
) -> tuple[int, bytes]:
    """(status, body) of whatever comes back; (0, what came) where the connection broke."""
    url = urllib.parse.urlsplit(server.url)
    link = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "user-agent": f"{NAME}-agent",
        "referer": f"https://example.org/{NAME}",
        "x-tuckshop-tag": tag,
    }
    try:
        link.request(method, path, body or None, headers)
        reply = link.getresponse()
        return reply.status, reply.read()
    except (http.client.HTTPException, OSError):
        return 0, b""
    finally:
        link.close()


def bodies(prompt: str) -> dict[str, dict[str, Any]]:
    """A body per endpoint that takes text, with *prompt* in it."""
    message = [{"role": "user", "content": prompt}]
    return {
        "/v1/chat/completions": {"model": "gpt-4o-mini", "messages": message, "max_tokens": 20},
        "/v1/responses": {"model": "gpt-4o-mini", "input": prompt, "max_output_tokens": 20},
        "/v1/embeddings": {"model": "text-embedding-3-small", "input": prompt},
        "/v1/moderations": {"input": prompt},
        "/v1/completions": {
            "model": "gpt-3.5-turbo-instruct", "prompt": prompt, "max_tokens": 20,
        },
    }  # fmt: skip


def go_wrong(server: Server, mock: Mock, key: str) -> None:
    """Everything that can, with canaries in it."""
    said = f"[[echo:{ANSWERED}]] {ASKED}"
    for path, body in bodies(said).items():
        for more in ({}, {"stream": True}, {"n": "many"}, {ASKED: 1}, {"model": "gpt-4"}):
            send(server, path, json.dumps(body | more).encode(), key)
        raw = json.dumps(body).encode()
        for broken in (raw[:-5], raw + raw, raw.replace(b":", b"=", 1), b"\xff" + raw, raw * 9_000):
            send(server, path, broken, key)
        send(server, f"{path}/{ASKED}?q={ASKED}", raw, key)
        send(server, path, raw, f"sk-tuck-{ASKED}")
        send(server, path, raw, key, method="PUT")
    fine = json.dumps(bodies(said)["/v1/chat/completions"]).encode()
    for fault in sorted(FAULTS.keys() - NOT_SO_FAST - SLOW):
        marked = f"[[fault:{fault}]] {said}"
        for stream in (False, True):
            body = bodies(marked)["/v1/chat/completions"] | {"stream": stream}
            send(server, "/v1/chat/completions", json.dumps(body).encode(), key)
        for path in ("/v1/responses", "/v1/embeddings"):
            send(server, path, json.dumps(bodies(marked)[path]).encode(), key)
            send(
                server, "/v1/chat/completions", fine, key
            )  # an upstream that only refuses is left alone
    for point in POINTS:
        for stream in (False, True):
            body = bodies(said)["/v1/chat/completions"] | {"stream": stream}
            send(server, "/v1/chat/completions", json.dumps(body).encode(), key, tag=MARK + point)
    large = bodies(said + "y" * 400_000)["/v1/chat/completions"]
    for fields in ({}, {"n": "many"}, {ASKED: 1}):
        send(server, "/v1/chat/completions", json.dumps(large | fields).encode(), key)
    body = bodies(said)["/v1/chat/completions"]
    for upstream_down in (True, False):
        if upstream_down:
            call(
                "POST",
                f"{mock.url.removesuffix('/v1')}/_mock/fault",
                {"fault": "refuse-after-headers"},
            )
        send(server, "/v1/chat/completions", json.dumps(body).encode(), key)


def manage_badly(server: Server, group: str) -> list[Any]:
    """Staff's mistakes, with names in them; what was answered."""
    person = {"external_id": f"{NAME}-2", "name": NAME, "email": f"{NAME}@example.org"}
    answers = []
    for body in (
        person | {"state": "gone"},
        person | {NAME: 1},
        [person, person | {"email": f"{NAME} at home"}],
        person | {"name": f"{NAME} {FAIL}"},
        person | {"external_id": NAME * 100},
    ):
        answers.append(server.admin("POST", f"/groups/{group}/members", body))
    answers.append(server.admin("GET", f"/members?q={NAME}{FAIL}"))
    answers.append(server.admin("GET", f"/members/{NAME}"))
    answers.append(server.admin("PATCH", f"/members/{NAME}", person))
    answers.append(server.admin("POST", f"/{NAME}", person))
    answers.append(server.admin("GET", f"/requests?member={NAME}&since={NAME}"))
    return answers


def write_and_tell(server: Server, group: str, mail: MailServer, hook: Receiver) -> None:
    """Mails, at each step of which the mail server refuses in its own words, and a webhook that takes nothing."""
    body = {"kind": "invite", "again": True}
    server.made("POST", f"/groups/{group}/mail", body)
    until(lambda: "RCPT" in mail.commands)
    until(lambda: server.made("GET", "/mail")["counts"].get("failed", 0) > 0)
    mail.rcpt, mail.data = {}, f"554 5.7.1 <{ADDRESS}>: {NAME} gets no such mail"
    server.made("POST", f"/groups/{group}/mail", body)
    until(lambda: "DATA" in mail.commands)
    until(lambda: server.made("GET", "/mail")["counts"].get("failed", 0) > 1)
    mail.mail = f"421 4.7.0 {ADDRESS} again?"
    server.made("POST", f"/groups/{group}/mail", body)
    until(lambda: server.made("GET", "/mail")["trouble"] is not None)
    until(lambda: bool(hook.came))


def look_into(server: Server, member: str, group: str) -> None:
    """Staff read for reasons: bodies, a search, a flag, an appeal, whose it is."""
    reason = {"reason": "a warning"}
    looked = server.made("POST", "/bodies/search", {**reason, "q": ASKED, "group": group})
    for hit in looked["data"][:3]:
        answer = server.made("POST", f"/requests/{hit['id']}/body", reason)
        assert ASKED in json.dumps(answer)
    flag = flags(server)[0]["id"]
    server.made("POST", f"/moderation/flags/{flag}/appeal", {"reason": f"{ASKED} is a quotation"})
    said = {"state": "upheld", "reason": f"they said {ANSWERED}"}
    server.made("POST", f"/moderation/flags/{flag}/resolve", said)
    assert NAME not in json.dumps(server.made("GET", f"/members/{member}"))
    assert NAME in json.dumps(server.made("POST", f"/members/{member}/identity", reason))
    for path, body in (
        (f"/members/{member}/identity", {"reason": f"{NAME}\n{NAME}"}),
        ("/identities", {"external_id": NAME * 100, **reason}),
        ("/who", {"pseudonym": NAME, **reason}),
        ("/bodies/search", {"q": ASKED * 100, **reason}),
    ):
        assert server.admin("POST", path, body)[0] in (400, 404, 422), path


def flags(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.made("GET", "/moderation/flags")["data"]
    return found


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 40
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_nothing_personal_and_no_secret_is_in_anything_that_the_server_writes(
    server: Server, mock: Mock, mail: MailServer, hook: Receiver
) -> None:
    """P1, P2, K2, K17."""
    group = "course"
    kept = {"bodies": "all", "purpose": "a test", "readers": ["owner"]}
    rules = {"deny_words": ["forbidden"]}
    checks = {"mode": "log", "fail": "open", "outputs": "log"}
    fields = {"each": ["$100 total"], "logging": kept, "rules": rules, "moderation": checks}
    server.made("POST", "/groups", {"name": group, **fields, "pseudonyms": True})
    server.made("POST", "/webhooks", {"url": hook.url(), "reach": "any"})
    person = {"external_id": f"{NAME}-1", "name": f"{NAME} Ada", "email": ADDRESS}
    server.made("POST", f"/groups/{group}/members", person)
    member = server.made("GET", f"/groups/{group}/members")["data"][0]
    assert NAME not in json.dumps(member)
    made = server.made("POST", f"/members/{member['id']}/keys", {})
    key = made["key"]

    # Before faults hold up the checks, too.
    flagged = bodies(f"{ASKED} [[flag:violence]]")["/v1/chat/completions"]
    assert send(server, "/v1/chat/completions", json.dumps(flagged).encode(), key)[0] == 200
    until(lambda: "moderation" in {flag["source"] for flag in flags(server)})
    go_wrong(server, mock, key)
    forbidden = bodies(f"{ASKED} forbidden")["/v1/chat/completions"]
    assert send(server, "/v1/chat/completions", json.dumps(forbidden).encode(), key)[0] == 400
    staff = manage_badly(server, group)
    until(lambda: "rule" in {flag["source"] for flag in flags(server)})
    look_into(server, member["id"], group)
    write_and_tell(server, group, mail, hook)
    server.admin("POST", f"/keys/{made['id']}/revoke")
    for path, body in bodies(ASKED).items():
        send(server, path, json.dumps(body).encode(), key)

    failed = [answer for status, answer in staff if status >= 500]
    assert failed, "nothing failed inside"
    assert NAME not in json.dumps(failed)
    metrics = call("GET", f"{server.url}/metrics")[1]
    health = call("GET", f"{server.url}/readyz")[1]
    log_rows = server.made("GET", "/requests?limit=1000")
    server.stop()
    log = server.log.read_text()
    assert log.count("KeyError") >= 2 * len(POINTS) - 2, "the faults were not met"
    for where, text in {"log": log, "metrics": str(metrics), "health": str(health)}.items():
        for canary in ("CANARY", key, key[8:], ADMIN_TOKEN, CREDENTIAL):
            assert canary not in text, (where, near(text, canary))
    assert ASKED not in json.dumps(log_rows)
    for told in ("550", "554", "421"):
        assert told in log, "what the mail server answered is not told"
    assert f"{hook.port} answered 500" in log
    for file in (path for path in server.data.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for canary in (ASKED, ANSWERED, f"{NAME}-agent", f"example.org/{NAME}", key, CREDENTIAL):
            assert canary.encode() not in content, (file, canary)


def near(text: str, canary: str) -> str:
    """Where it stands."""
    at = text.index(canary)
    return text[max(0, at - 300) : at + 100]
