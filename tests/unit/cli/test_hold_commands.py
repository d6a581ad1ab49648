"""Legal holds and searches, as typed."""

from __future__ import annotations

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, MEMBER, FakeServer, page

HOLD = {
    "id": "hld_1",
    "group": "grp_1",
    "member": "mem_1",
    "at": "2026-11-24T10:00:00Z",
    "set_by": "operator",
    "released_at": None,
    "released_by": None,
}


def test_a_hold_is_set_listed_and_released(run: Run, server: FakeServer) -> None:
    server.will_answer(HOLD, 201).will_answer(page(HOLD)).will_answer(HOLD)
    environment = server.environment()

    made = run("hold", "set", "--member", "mem_1", "--reason", "x", environment=environment)
    listed = run("hold", "list", environment=environment)
    released = run("hold", "release", "hld_1", "--reason", "y", environment=environment)

    for result in (made, listed, released):
        assert result.exit_code == 0, result.stderr
        assert "hld_1" in result.stdout
    assert server.asked[0].body == {"member": "mem_1", "reason": "x"}
    assert server.asked[2].target == "/api/v1/holds/hld_1/release"
    assert server.asked[2].body == {"reason": "y"}


def test_a_hold_is_on_one_thing_and_has_a_reason(run: Run, server: FakeServer) -> None:
    for arguments in (["--reason", "x"], ["--group", "a"], ["--group", "a", "--member", "b"]):
        assert run("hold", "set", *arguments, environment=server.environment()).exit_code == 2
    assert server.asked == []


def test_a_search_tells_what_it_found_and_where_it_goes_on(run: Run, server: FakeServer) -> None:
    """K13: nothing of it that a terminal obeys."""
    hit = {
        "id": "req_1",
        "at": "2026-11-24T10:00:00Z",
        "group": "grp_1",
        "member": "mem_1",
        "where": "reply",
        "excerpt": "an ev\u202eil word\u001b",
    }
    server.will_answer({"data": [hit], "looked_at": 9, "unreadable": 1, "next_cursor": "c"})
    server.will_answer(page(GROUP)).will_answer(MEMBER)

    result = run(
        *("log", "search", "word", "--group", "swa", "--reason", "x", "--limit", "5"),
        environment=server.environment(),
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[0].target == "/api/v1/bodies/search"
    assert server.asked[0].body == {"q": "word", "reason": "x", "limit": 5, "group": "swa"}
    assert "req_1" in result.stdout
    assert not set("\u202e\u001b") & set(result.stdout)
    assert "--cursor c" in result.stderr
