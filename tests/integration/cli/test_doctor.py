"""Each check of `tuckshop doctor`: silent where all is well, and with a cure where it is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.backup_kit import back_up
from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold
from tests.support.processes import CREDENTIAL, start_mock
from tuckshop import doctor
from tuckshop.doctor import examine
from tuckshop.doctor_upstreams import ask_upstreams
from tuckshop.finding import Finding
from tuckshop.ledger.restore import restore
from tuckshop.settings import Settings


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    """Those of a server that is well."""
    data = tmp_path / "data"
    desk = Desk(data, clock)
    desk.one(hold("$1/month"))
    desk.close()
    for name in ("admin-token", "secret-key"):
        (data / name).touch(mode=0o600)
    return Settings(data=data, openai_api_key=CREDENTIAL)


def worst(settings: Settings, clock: FakeClock) -> list[Finding]:
    found = examine(settings, settings.data / "tuckshop.db", clock)
    return [finding for finding in found if finding.level in ("warning", "bad")]


def one(settings: Settings, clock: FakeClock) -> Finding:
    (finding,) = worst(settings, clock)
    assert finding.mend is not None
    return finding


def test_nothing_is_wrong_with_a_server_that_is_well(settings: Settings, clock: FakeClock) -> None:
    found = examine(settings, settings.data / "tuckshop.db", clock)

    assert [f for f in found if f.level in ("warning", "bad")] == []
    assert {f.subject for f in found if f.level == "ok"} >= {
        *("settings", "data folder", "disk", "ledger", "clock", "prices"),
    }
    assert [f.subject for f in found if f.level == "note"][-1] == "cap at the provider"  # K19
    assert CREDENTIAL not in str(found)


@pytest.mark.parametrize("name", ["", "tuckshop.db", "secret-key", "person-keys.db"])
def test_what_others_can_read_is_bad(settings: Settings, clock: FakeClock, name: str) -> None:
    path = settings.data / name
    if not path.exists():
        path.touch()
    path.chmod(0o755)

    finding = one(settings, clock)

    assert (finding.level, finding.subject) == ("bad", "data folder")
    assert finding.mend == f"chmod {'600' if name else '700'} {path}"


def test_a_folder_that_is_not_there_is_bad(clock: FakeClock, tmp_path: Path) -> None:
    finding = one(Settings(data=tmp_path / "no", openai_api_key="x"), clock)

    assert (finding.level, finding.subject) == ("bad", "data folder")


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"openai_api_key": None}, "credential"),
        ({"host": "0.0.0.0"}, "address"),
        ({"durability": "process"}, "durability"),
    ],
)
def test_settings_that_somebody_may_not_have_meant(
    settings: Settings, clock: FakeClock, change: dict[str, object], subject: str
) -> None:
    finding = one(replace(settings, **change), clock)  # type: ignore[arg-type]  # one field each

    assert (finding.level, finding.subject) == ("warning", subject)


@pytest.mark.parametrize(
    ("bound", "level"), [("SPACE_MIN_BYTES", "bad"), ("SPACE_LOW_BYTES", "warning")]
)
def test_a_disk_that_fills_up(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, bound: str, level: str
) -> None:
    monkeypatch.setattr(doctor, bound, 1 << 60)

    assert one(settings, clock).level == level


def test_a_counter_that_is_wrong(settings: Settings, clock: FakeClock) -> None:
    with closing(sqlite3.connect(settings.data / "tuckshop.db")) as connection:
        connection.execute("UPDATE counters SET used = used + 1")
        connection.commit()

    finding = one(settings, clock)

    assert (finding.level, finding.subject) == ("bad", "ledger")
    assert "contradicts itself" in finding.what


def test_a_ledger_that_is_damaged_or_missing(settings: Settings, clock: FakeClock) -> None:
    path = settings.data / "tuckshop.db"
    path.write_bytes(b"x" * 5_000)
    path.chmod(0o600)
    assert one(settings, clock).subject == "ledger"

    path.unlink()
    assert one(settings, clock).level == "bad"


def test_a_gap_that_nobody_acknowledged(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    ledger = settings.data / "tuckshop.db"
    back_up(ledger, tmp_path / "b.db", clock)
    restore(tmp_path / "b.db", ledger, clock)

    assert one(settings, clock).mend == "tuckshop restore --acknowledge-gap"


def test_a_clock_that_is_behind(settings: Settings, clock: FakeClock) -> None:
    with closing(sqlite3.connect(settings.data / "tuckshop.db")) as connection:
        connection.execute(
            "INSERT INTO settings (name, value) VALUES ('clock_high_water', ?)",
            (str(clock.now_us()),),
        )
        connection.commit()
    clock.wall_us -= 121_000_000

    finding = one(settings, clock)

    assert (finding.level, finding.subject) == ("bad", "clock")


def test_prices_that_are_old(settings: Settings, clock: FakeClock) -> None:
    clock.advance(400 * 86_400)

    assert (one(settings, clock).level, one(settings, clock).subject) == ("warning", "prices")


def test_the_upstream_is_asked_for_its_models(tmp_path: Path) -> None:
    ledger = tmp_path / "none"
    mock = start_mock(tmp_path)
    try:
        well = Settings(openai_api_key=CREDENTIAL, openai_base_url=mock.url)
        (found,) = ask_upstreams(well, ledger)
        assert found.level == "ok"

        (refused,) = ask_upstreams(replace(well, openai_api_key="sk-another"), ledger)
        assert (refused.level, "refuses the credential" in refused.what) == ("bad", True)
        elsewhere = mock.url.removesuffix("/v1") + "/v9"
        (lost,) = ask_upstreams(replace(well, openai_base_url=elsewhere), ledger)
        assert (lost.level, "404" in lost.what) == ("bad", True)
    finally:
        mock.stop()
    (gone,) = ask_upstreams(well, ledger)
    assert (gone.level, "takes no connection" in gone.what) == ("bad", True)
    assert ask_upstreams(Settings(), ledger)[0].level == "bad"


def test_a_credential_that_is_missing_or_does_not_open_is_told(
    settings: Settings, clock: FakeClock
) -> None:
    """K2, P10: as after a restore, or with another secret-key."""
    (settings.data / "secret-key").write_text("11" * 32)
    row = ("wsp_default", "second", "openai", "openai", "https://a.example", "any")
    with closing(sqlite3.connect(settings.data / "tuckshop.db")) as connection, connection:
        for id_, name, source, sealed in (
            ("upr_1", "second", None, None),
            ("upr_2", "third", "sealed", b"\x01" + bytes(40)),
        ):
            connection.execute(
                "INSERT INTO upstreams (workspace_id, id, name, family, profile, base_url, reach,"
                " credential_source, sealed, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                (row[0], id_, name, *row[2:], source, sealed),
            )

    found = {f.subject: f for f in worst(settings, clock)}

    assert "none was given" in found["upstream second"].what
    assert "another secret-key" in found["upstream third"].what
    assert found["upstream third"].mend == "tuckshop upstream edit third --credential"
