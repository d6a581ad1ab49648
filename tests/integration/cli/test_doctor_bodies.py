"""What `tuckshop doctor` says of kept prompts and answers (D2, P2)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_clock import FakeClock
from tests.support.keeping_kit import DAY_US
from tests.support.ledger_kit import Desk
from tuckshop.doctor_bodies import examine_bodies
from tuckshop.finding import Finding
from tuckshop.keeping.body_file import NAME, BodyFile, set_aside
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.settings import Settings

ALL = '{"bodies":"all","days":30,"purpose":"a test"}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    data = tmp_path / "data"
    Desk(data, clock).close()
    return Settings(data=data, openai_api_key="sk-1")


@pytest.fixture
def bodies(settings: Settings) -> Iterator[BodyFile]:
    """As a server that runs has it."""
    with closing(BodyFile(settings.data / NAME, max_bytes=1 << 30)) as file:
        yield file


def keep(
    bodies: BodyFile, *, group: str, at_us: int, size: int = 100, flagged: bool = False
) -> None:
    body = KeptBody(
        request_id=f"req_{at_us}",
        workspace_id="wsp_default",
        group_id=group,
        member_id="mem_a",
        at_us=at_us,
        is_flagged=flagged,
    )
    bodies.add([(body, b"x" * size)])


def change(settings: Settings, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(settings.data / "tuckshop.db")) as connection:
        connection.execute(statement, values)
        connection.commit()


def group_of(settings: Settings, logging: str | None) -> str:
    """A group of the ledger, which now says *logging*."""
    change(settings, "UPDATE groups SET logging = ?", logging)
    with closing(sqlite3.connect(settings.data / "tuckshop.db")) as connection:
        return str(connection.execute("SELECT id FROM groups").fetchone()[0])


def found(settings: Settings, clock: FakeClock) -> list[Finding]:
    return list(examine_bodies(settings, settings.data / "tuckshop.db", clock))


def test_where_nothing_was_ever_kept_nothing_is_said(settings: Settings, clock: FakeClock) -> None:
    assert found(settings, clock) == []


def test_what_is_well_is_told_with_its_size_and_age(
    settings: Settings, clock: FakeClock, bodies: BodyFile
) -> None:
    group = group_of(settings, ALL)
    keep(bodies, group=group, at_us=clock.now_us() - 3 * DAY_US)

    (finding,) = found(settings, clock)

    assert finding.level == "ok"
    assert "of 2,147.5 MB are used, the oldest for 3.0 days" in finding.what


def test_what_should_be_gone_is_bad(settings: Settings, clock: FakeClock, bodies: BodyFile) -> None:
    """P2: no server ran when the days were over."""
    group = group_of(settings, ALL)
    keep(bodies, group=group, at_us=clock.now_us() - 30 * DAY_US - 3_600_000_000)

    (finding,) = found(settings, clock)

    assert (finding.level, group in finding.what) == ("bad", True)
    assert finding.mend is not None
    assert "start the server" in finding.mend


@pytest.mark.parametrize("logging", [None, '{"bodies":"flagged","purpose":"a test"}'])
def test_what_the_group_no_longer_keeps_is_bad_too(
    settings: Settings, clock: FakeClock, bodies: BodyFile, logging: str | None
) -> None:
    """P2."""
    keep(bodies, group=group_of(settings, logging), at_us=clock.now_us() - DAY_US)

    assert [one.level for one in found(settings, clock)] == ["bad"]


def test_what_a_legal_hold_keeps_is_not_late(
    settings: Settings, clock: FakeClock, bodies: BodyFile
) -> None:
    """P2."""
    group = group_of(settings, ALL)
    keep(bodies, group=group, at_us=clock.now_us() - 300 * DAY_US)
    change(
        settings,
        "INSERT INTO holds (workspace_id, id, group_id, at, set_by) VALUES ('wsp_default', 'hld_1', ?, 1, 'operator')",
        group,
    )

    assert [one.level for one in found(settings, clock)] == ["ok"]
    change(settings, "UPDATE holds SET released_at = 2")
    assert [one.level for one in found(settings, clock)] == ["bad"]


def test_a_quota_that_fills_up(settings: Settings, clock: FakeClock, bodies: BodyFile) -> None:
    """D2: what no longer fits is not kept."""
    keep(bodies, group=group_of(settings, ALL), at_us=clock.now_us(), size=950_000)

    (finding,) = found(replace(settings, bodies_max_bytes=1_048_576), clock)

    assert finding.level == "warning"
    assert "nothing more is kept" in finding.what


def test_a_file_that_is_damaged_or_anothers(settings: Settings, clock: FakeClock) -> None:
    """D2: money is in another file."""
    path = settings.data / NAME
    path.write_bytes(b"x" * 8_192)

    assert [one.level for one in found(settings, clock)] == ["bad"]

    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bodies (request_id TEXT)")
        connection.commit()
    (finding,) = found(settings, clock)
    assert "not a file of bodies" in finding.what

    set_aside(path, clock.now_us())
    (finding,) = found(settings, clock)
    assert (finding.level, "aside" in finding.what) == ("warning", True)
