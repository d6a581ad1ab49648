"""Rules that are tightened while calls of the group wait or run: nothing hangs, nothing is owed that was not sent."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.support.caller import MODEL, Answer, assert_books_hold, new_caller
from tests.support.processes import Mock, Server

RUNS = "The weather [[tokens:60]] [[speed:30]]"  # two seconds
DENIED = {"deny_words": ["weather"]}


def _waiting(caller: Any, answers: list[Answer], text: str) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(caller.ask(text)))
    thread.start()
    return thread


def test_rules_that_come_while_calls_run_and_wait(server: Server, mock: Mock) -> None:
    """
    M2, M5, M15: what runs goes on and is charged; what waited for room is not let in by rules it was not held to.

    It is told to come again, holds nothing, and is then held to the new rules.
    """
    caller = new_caller(server, mock, each=["$1/month", "1 concurrent requests"], patience_s=20)
    group = server.made("GET", f"/members/{caller.member}")["group"]
    link, first = caller.start(RUNS)
    assert first.startswith(b"data: ")
    answers: list[Answer] = []
    waiting = [_waiting(caller, answers, "What weather?") for _ in range(3)]
    time.sleep(0.3)
    assert not answers, "they wait for the one that runs"

    server.made("PATCH", f"/groups/{group}", {"rules": DENIED})

    # The one that runs: to its end, and paid for.
    sock = link.sock
    assert sock is not None
    rest = b""
    while piece := sock.recv(65_536):
        rest += piece
        if b"[DONE]" in rest:
            break
    assert b"[DONE]" in rest
    link.close()
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive(), "nothing hangs"
    assert {(answer.status, answer.code) for answer in answers} == {(503, "server_busy")}
    assert all("retry-after" in answer.headers for answer in answers)
    assert all(b"have just changed" in answer.body for answer in answers)

    again = caller.ask("What weather?")
    assert (again.status, again.code) == (400, "denied_content")
    assert caller.ask("What time?").status == 200, "nobody holds the one place"
    rows = server.made("GET", f"/requests?member={caller.member}")["data"]
    settled = [row for row in rows if row["status"] == "settled"]
    assert len(settled) == 2
    assert {row["status"] for row in rows} == {"settled", "refused"}
    assert {row["model"] for row in rows} == {MODEL}
    assert [held for _, held in caller.limits().values()] == [0, 0]
    assert_books_hold(server, mock)


def test_rules_that_are_loosened_let_a_waiting_call_come_again(server: Server, mock: Mock) -> None:
    """M2: also where the new rules would let it in, it is held to them whole."""
    caller = new_caller(
        server, mock, each=["$1/month", "1 concurrent requests"], patience_s=20, rules=DENIED
    )
    group = server.made("GET", f"/members/{caller.member}")["group"]
    link, _ = caller.start("Some trees [[tokens:60]] [[speed:40]]")
    answers: list[Answer] = []
    waiting = _waiting(caller, answers, "What trees?")
    time.sleep(0.3)

    server.made("PATCH", f"/groups/{group}", {"rules": None})

    waiting.join(15)
    assert not waiting.is_alive()
    link.close()
    (answer,) = answers
    assert (answer.status, answer.code) == (503, "server_busy")
    assert caller.ask("What weather?").status == 200
    assert_books_hold(server, mock)
