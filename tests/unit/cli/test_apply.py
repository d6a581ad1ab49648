"""What `tuckshop apply` says when the server says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import GROUP, MEMBER, FakeServer, page

COURSE = """\
[[group]]
name = "swa"
time_zone = "Europe/Berlin"
member = [{ external_id = "4711" }, { external_id = "4712", state = "paused" }]
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    file = tmp_path / "c.toml"
    file.write_text(COURSE)
    return file


def test_what_fails_in_the_middle_tells_what_was_done(
    run: Run, server: FakeServer, course: Path
) -> None:
    server.will_answer(page()).will_answer(GROUP, 201)
    server.will_answer({"detail": "The server cannot take this now."}, 503)

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 1
    assert "The server cannot take this now.\nDone before that:\n  swa: made\n" in result.stderr
    assert "Doing it again goes on from there." in result.stderr
    assert server.asked[2].body == [{"external_id": "4711"}, {"external_id": "4712"}]


def test_it_goes_on_where_it_stopped(run: Run, server: FakeServer, course: Path) -> None:
    server.will_answer(page(GROUP)).will_answer(GROUP)
    server.will_answer(page({**MEMBER, "external_id": "4711"}))
    server.will_answer({"data": [{**MEMBER, "id": "mem_2"}], "errors": []}, 201)
    server.will_answer(MEMBER).will_answer(GROUP)

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [(asked.method, asked.target.split("?")[0]) for asked in server.asked[3:5]] == [
        ("POST", "/api/v1/groups/grp_1/members"),
        ("POST", "/api/v1/members/mem_2/pause"),
    ]
    assert server.asked[3].body == [{"external_id": "4712"}]
    assert "swa: 100 members: at most $20.00 a month" in result.stdout


def test_who_is_mailed_is_put_as_a_whole_and_not_asked_for_unsaid(
    run: Run, server: FakeServer, course: Path
) -> None:
    course.write_text('[[group]]\nname = "swa"\n[group.notify]\nmails = ["ada@example.org"]\n')
    nobody: dict[str, object] = {"mails": [], "kinds": None, "members": True, "trouble": None}
    server.will_answer(page(GROUP)).will_answer(GROUP).will_answer(page()).will_answer(nobody)
    server.will_answer(nobody).will_answer(GROUP)

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 0, result.stderr
    put = server.asked[4]
    assert (put.method, put.target) == ("PUT", "/api/v1/groups/grp_1/notify")
    assert put.body == {"mails": ["ada@example.org"], "kinds": None, "members": False}
    assert "    + notify.mails: ada@example.org" in result.stdout
    assert "    ~ notify.members: true → false" in result.stdout


@pytest.mark.parametrize("status", [403, 503])
def test_an_export_by_whom_may_not_see_who_is_mailed_says_that_it_is_not_in_it(
    run: Run, server: FakeServer, status: int
) -> None:
    """K13: a file that left it out without a word would be taken for all there is."""
    server.will_answer(GROUP).will_answer(page(GROUP)).will_answer(GROUP).will_answer(page())
    server.will_answer({"detail": "This needs the role owner."}, status)

    result = run("group", "export", "swa", environment=server.environment())

    assert result.exit_code == (0 if status == 403 else 1)
    assert ("# Who is mailed is not in it" in result.stdout) == (status == 403)
    assert "notify" not in result.stdout


def test_an_address_that_cannot_be_written_to_is_told_with_its_place(
    run: Run, server: FakeServer, course: Path
) -> None:
    course.write_text('[[group]]\nname = "swa"\n[group.notify]\nmails = ["ada at home"]\n')

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 1
    assert f"{course}:4:10: notify: " in result.stderr
    assert server.asked == []


def test_a_policy_that_somebody_changed_meanwhile_is_left_as_it_is(
    run: Run, server: FakeServer, course: Path
) -> None:
    course.write_text('[[group]]\nname = "swa"\neach = ["$5/month"]\n')
    server.will_answer(page(GROUP)).will_answer(GROUP, 200, etag='"v1"').will_answer(page())
    server.will_answer({"detail": "It was changed since you read it."}, 412)

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 1
    assert server.asked[3].version == '"v1"'
    assert "It was changed since you read it." in result.stderr
    assert "Done before that:\n  nothing\n" in result.stderr


def test_what_the_server_refuses_is_told_with_its_line(
    run: Run, server: FakeServer, course: Path
) -> None:
    server.will_answer(page())
    server.will_answer({"detail": "time_zone: is not known here"}, 422)

    result = run("apply", str(course), environment=server.environment())

    assert (
        f"{course}:3:1: time_zone: is not known here\nDone before that:\n  nothing\n"
        in result.stderr
    )


def test_a_member_whom_the_server_refuses_is_told_with_their_line(
    run: Run, server: FakeServer, course: Path
) -> None:
    server.will_answer(page()).will_answer(GROUP, 201)
    errors = [{"line": 2, "field": "external_id", "message": "is odd"}]
    server.will_answer({"data": [MEMBER], "errors": errors}, 201)

    result = run("apply", str(course), environment=server.environment())

    assert f"{course}:4:39: external_id is odd" in result.stderr


def test_a_dry_run_asks_and_sends_nothing(run: Run, server: FakeServer, course: Path) -> None:
    server.will_answer(page())

    result = run("apply", str(course), "--check", "--json", environment=server.environment())

    assert result.exit_code == 1
    assert '"applied": false' in result.stdout
    assert [asked.method for asked in server.asked] == ["GET"]


def test_nothing_of_a_faulty_file_reaches_the_server(
    run: Run, server: FakeServer, course: Path
) -> None:
    server.will_answer({}, 500)
    course.write_text("[[group]]\n'a\\u202e' = 1\n")

    result = run("apply", str(course), environment=server.environment())

    assert result.exit_code == 1
    assert "Nothing was changed." in result.stderr
    assert server.asked == []
