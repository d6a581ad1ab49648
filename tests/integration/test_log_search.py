"""How the request log is searched: by which index, in which order, and how far at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from bench import history
from sqlalchemy import Connection, event, insert

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, settlement
from tuckshop.domain.errors import InvalidFieldError
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import Amounts
from tuckshop.services import log_search
from tuckshop.services.log_search import Mark, Search, find, mark_in
from tuckshop.storage import schema
from tuckshop.storage.database import Database

ROWS = 6_000
PEOPLE = 40
SAID_EVERY = 37  # in each so many-th call something was said that has a flag
GROUP, SMALL = "grp_0", "grp_1"
DAY_US = 86_400 * 1_000_000


@pytest.fixture(scope="module")
def log(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Database, list[dict[str, Any]]]]:
    """A ledger with a past, and all of its rows, newest first."""
    desk = Desk(tmp_path_factory.mktemp("log"))
    desk.session.begin(desk.clock.now_us())
    desk.session.transaction.connection.execute(
        insert(schema.keys),
        [
            {
                "workspace_id": DEFAULT_WORKSPACE, "id": f"key_{n}", "member_id": f"mem_{n}",
                "group_id": SMALL if n == 0 else GROUP, "digest": bytes([n]) * 32, "last4": "0000",
                "state": "active", "created_at": 0,
            }
            for n in range(PEOPLE)
        ],
    )  # fmt: skip
    desk.session.commit()
    call = hold()
    desk.one(call)
    desk.one(settlement(call.request_id, Amounts(cost_nano=500, input_tokens=8, output_tokens=16)))
    desk.close()
    history.fill(desk.database.path, ROWS)
    desk.reopen()
    query = schema.requests.select().order_by(schema.requests.c.position.desc())
    with desk.database.reader() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    desk.session.begin(desk.clock.now_us())
    desk.session.transaction.connection.execute(
        insert(schema.flagged_calls),
        [
            {
                "workspace_id": DEFAULT_WORKSPACE, "request_id": rows[place]["id"], "flag_id": f"flg_{flag}",
                "position": rows[place]["position"],
            }
            for place in range(5, len(rows), SAID_EVERY)
            for flag in range(1 + place % 2)
        ],
    )  # fmt: skip
    desk.session.commit()
    for place in range(5, len(rows), SAID_EVERY):
        rows[place]["is_said"] = True
    yield desk.database, rows
    desk.close()


SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "group": {"group_id": SMALL},
    "member": {"member_id": "mem_3"},
    "key": {"member_id": "mem_3", "key_id": "key_3"},
    "refused": {"status": "refused"},
    "blocked": {"status": "blocked"},
    "reserved": {"status": "reserved"},
    "settled": {"status": "settled"},
    "tag": {"tag": "hw-3"},
    "rare tag": {"tag": history.RARE_TAG},
    "flagged": {"is_flagged": True},
    "unflagged": {"is_flagged": False, "member_id": "mem_3"},
    "flagged by what was said": {"is_flagged": True, "sees_conduct": True},
    "flagged by what was said, middle": {
        "is_flagged": True,
        "sees_conduct": True,
        "since_us": -200,
        "until_us": -100,
    },
    "nothing said": {"is_flagged": False, "sees_conduct": True, "member_id": "mem_3"},
    "flagged by what was said, tag": {"is_flagged": True, "sees_conduct": True, "tag": "hw-3"},
    "middle": {"since_us": -200, "until_us": -190},
    "middle of a group": {"group_id": SMALL, "since_us": -200, "until_us": -100},
    "middle, refused": {"status": "refused", "since_us": -200, "until_us": -100},
    "flagged of a group": {"is_flagged": True, "group_id": GROUP},
    "tag of a member": {"tag": "hw-3", "member_id": "mem_3"},
    "nobody's model": {"others": (schema.requests.c.model == "o3",)},
    "one model": {
        "others": (schema.requests.c.model == "text-embedding-3-small",),
        "group_id": GROUP,
    },
}


def search_of(name: str, newest_us: int) -> Search:
    terms = dict(SEARCHES[name])
    for bound in ("since_us", "until_us"):
        if bound in terms:
            terms[bound] = newest_us + terms[bound] * DAY_US
    return Search(workspace_id=DEFAULT_WORKSPACE, **terms)


def matches(row: dict[str, Any], name: str, newest_us: int) -> bool:
    search = search_of(name, newest_us)
    is_said = search.sees_conduct and row.get("is_said", False)
    models = {"nobody's model": "o3", "one model": "text-embedding-3-small"}
    return (
        search.group_id in (None, row["group_id"])
        and search.member_id in (None, row["member_id"])
        and search.key_id in (None, row["key_id"])
        and search.status in (None, row["state"])
        and search.tag in (None, row["tag"])
        and search.is_flagged in (None, row["flags"] != "" or is_said)
        and (search.since_us or 0) <= row["admitted_at"] < (search.until_us or 2**62)
        and models.get(name, row["model"]) == row["model"]
    )


@pytest.mark.parametrize("page_s", [60.0, 0.0], ids=["whole pages", "short pages"])
@pytest.mark.parametrize("name", SEARCHES)
def test_pages_hold_every_match_once_newest_first(
    log: tuple[Database, list[dict[str, Any]]],
    name: str,
    page_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the time for a page is over after each slice, so that some of them are empty."""
    database, rows = log
    monkeypatch.setattr(log_search, "PAGE_S", page_s)
    monkeypatch.setattr(log_search, "SLICE_ROWS", 70)
    newest_us = rows[0]["admitted_at"]
    search = search_of(name, newest_us)

    found: list[str] = []
    mark: Mark | None = None
    with database.reader() as connection:
        for number in itertools.count():
            some, mark = find(connection, search, mark, 50, FakeClock())
            assert len(some) <= 50
            found += [row["id"] for row in some]
            if mark is None:
                break
            mark = mark_in(search, mark.cursor)
            assert number < ROWS

    assert found == [row["id"] for row in rows if matches(row, name, newest_us)]


def plan_of(database: Database, search: Search) -> list[str]:
    """How the database looks for where a slice ends, and for the rows of it."""
    said: list[tuple[str, Any]] = []
    with database.reader() as connection:
        note = _noting(connection, said)
        find(connection, search, Mark(10**9, 10**18), 50, FakeClock())
        event.remove(connection, "before_cursor_execute", note)
        driver = connection.connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        plans = [
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            for statement, values in said[-2:]
        ]
    return [
        step[3] for plan in plans for step in plan if "requests" in step[3] or "flagged" in step[3]
    ]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("all", "sqlite_autoindex_requests_2"),
        ("group", "requests_by_group"),
        ("key", "requests_by_member"),
        ("refused", "requests_uncharged"),
        ("reserved", "requests_open"),
        ("settled", "sqlite_autoindex_requests_2"),
        ("tag", "requests_by_tag"),
        ("flagged", "requests_flagged"),
        ("flagged of a group", "requests_flagged"),
        ("tag of a member", "requests_by_tag"),
        ("middle", "sqlite_autoindex_requests_2"),
        ("middle of a group", "requests_by_group"),
        ("middle, refused", "requests_uncharged"),
        ("unflagged", "requests_by_member"),
        ("nobody's model", "sqlite_autoindex_requests_2"),
    ],
)
def test_each_search_goes_along_its_index(
    log: tuple[Database, list[dict[str, Any]]], name: str, index: str
) -> None:
    database, rows = log

    details = plan_of(database, search_of(name, rows[0]["admitted_at"]))

    assert details
    assert {index in detail for detail in details} == {True}, details


def test_flags_of_what_was_said_are_found_by_two_indexes(
    log: tuple[Database, list[dict[str, Any]]],
) -> None:
    """However long the log is, it is not walked through: not even for the rows of a slice."""
    database, rows = log

    details = plan_of(database, search_of("flagged by what was said", rows[0]["admitted_at"]))

    assert not [detail for detail in details if detail.startswith("SCAN requests")]
    by_index = [detail for detail in details if "flagged" in detail]
    assert {"requests_flagged", "flagged_calls_by_position"} <= {
        detail.split(" INDEX ")[1].split(" ")[0] for detail in by_index
    }
    # The rows themselves are looked up one by one.
    assert any("(workspace_id=? AND position=?)" in detail for detail in details), details


def test_a_cursor_of_another_kind_of_filter_is_refused() -> None:
    by_time = Search(workspace_id=DEFAULT_WORKSPACE, group_id=GROUP)
    by_position = Search(workspace_id=DEFAULT_WORKSPACE)

    with pytest.raises(InvalidFieldError):
        mark_in(by_position, Mark(7, 9).cursor)
    with pytest.raises(InvalidFieldError):
        mark_in(by_time, Mark(7).cursor)


def _noting(connection: Connection, said: list[tuple[str, Any]]) -> Any:
    def note(_: object, __: object, statement: str, values: Any, *rest: object) -> None:
        said.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    return note
