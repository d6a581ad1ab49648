"""What `tuckshop token` asks the server, and what it prints."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, FakeServer, page

TOKEN = {
    "id": "tok_06f9a1b2c3d4e5f6g7h8j9k0m1",
    "token": "sk-tuck-staff-secret",
    "name": "Grace, TA",
    "role": "assistant",
    "groups": ["grp_1"],
    "last4": "wxyz",
    "expires_at": "2027-03-31T22:00:00Z",
    "state": "active",
    "created_by": "operator",
    "created_at": "2026-11-25T10:00:00Z",
}
CREATE = ("token", "create", "Grace, TA", "--role", "assistant")
TOKYO = {**GROUP, "id": "grp_2", "name": "swb", "time_zone": "Asia/Tokyo"}


def test_a_day_is_over_at_its_end_in_the_zone_of_the_group(run: Run, server: FakeServer) -> None:
    """K6: as `--until` of a grant means it."""
    server.will_answer(GROUP).will_answer(TOKEN, 201).will_answer(page(GROUP))

    result = run(
        *CREATE, "--group", "swa", "--expires", "2027-03-31", environment=server.environment()
    )

    assert result.exit_code == 0, result.stderr
    assert server.asked[1].body["expires_at"] == "2027-03-31T22:00:00Z"


def test_of_several_zones_it_is_the_one_where_the_day_ends_last(
    run: Run, server: FakeServer
) -> None:
    server.will_answer(TOKYO).will_answer(GROUP).will_answer(TOKEN, 201).will_answer(page(GROUP))

    run(
        *(*CREATE, "--group", "swb", "--group", "swa", "--expires", "2027-01-31"),
        environment=server.environment(),
    )

    assert server.asked[2].body["expires_at"] == "2027-01-31T23:00:00Z"


def test_a_time_stays_what_it_is(run: Run, server: FakeServer) -> None:
    server.will_answer(TOKEN, 201).will_answer(page(GROUP))

    run(
        *(*CREATE, "--group", "swa", "--expires", "2027-03-31T12:00:00Z"),
        environment=server.environment(),
    )

    assert server.asked[0].body["expires_at"] == "2027-03-31T12:00:00Z"


@pytest.mark.parametrize("day", ["2027-02-30", "9999-12-31"])
def test_a_day_that_there_is_not_is_refused(run: Run, server: FakeServer, day: str) -> None:
    server.will_answer(GROUP)

    result = run(*CREATE, "--group", "swa", "--expires", day, environment=server.environment())

    assert result.exit_code == 2
    assert f"{day} is no day" in result.stderr


def test_tokens_are_listed_with_their_end_on_the_clocks_of_the_group(
    run: Run, server: FakeServer
) -> None:
    server.will_answer(page(TOKEN)).will_answer(page(GROUP, TOKYO))

    result = run("token", "list", environment=server.environment())

    assert "EXPIRES (EUROPE/BERLIN)" in result.stdout
    assert "2027-04-01 00:00" in result.stdout
