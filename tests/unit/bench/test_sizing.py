"""How big a machine: the arithmetic."""

from __future__ import annotations

from bench.figures import Group
from bench.sizing import Needs, capacity, people


def group(**values: float) -> Group:
    cases = {name.replace("_", "-"): {"tuckshop": value} for name, value in values.items()}
    return Group(made_at="2026-01-01", machine="one", how="1 round", values=cases)


GROUPS = {
    "requests": group(chat_32=500),
    "events": group(event_1000=50),
    "crowd": group(rss_idle=60, rss_members=110, rss_streams=20),
    "disk": group(disk_row=600, disk_bucket=400, disk_member=1500, disk_counters=500),
}


def test_needs_are_what_the_figures_say_of_one_call_member_and_stream() -> None:
    needs = Needs.of(GROUPS)

    assert needs == Needs(
        call_us=500,
        event_us=50,
        idle_mb=60,
        member_mb=0.005,
        stream_mb=0.02,
        call_bytes=1000,
        member_bytes=2000,
    )


def test_people_need_what_the_assumptions_make_of_it() -> None:
    """1,000 people: 20,000 calls a day, 5,000 in the busiest hour, 4.17 a second at the peak, 6 s each."""
    row = next(line for line in people(GROUPS).splitlines() if line.startswith("| 1,000 "))

    assert row == "| 1,000 | 20,000 | 4.2 | 25 | 6% | 66 MB | 7.3 GB | 1 core, 512 MB |"


def test_a_load_that_one_process_should_not_carry_is_said_to_be_one() -> None:
    heavy = GROUPS | {"events": group(event_1000=100)}

    assert "over the assumed load" in people(heavy).splitlines()[-1]


def test_a_core_carries_what_its_microseconds_allow() -> None:
    told = capacity(GROUPS)

    assert "| plain chat requests per second, one core fully used | 2,000 |" in told
    assert "| disk of 100,000 calls | 100 MB |" in told


def test_nothing_is_reckoned_from_figures_that_are_missing() -> None:
    assert people({}) == capacity({}) == "Not measured yet.\n"
