"""D9: tables as described and tables as migrated are the same, on both databases."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tuckshop.storage import schema, schema_version
from tuckshop.storage.database import prepare
from tuckshop.storage.migrations import upgrade
from tuckshop.storage.sqlite import WriterConnection, open_writer


def new_file(path: Path) -> WriterConnection:
    path.touch()
    return open_writer(path)


def schema_of(path: Path) -> dict[str, object]:
    """Every table with its columns, and every index, whatever the text of the statements looked like."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {
            name: (
                connection.execute(f"PRAGMA table_xinfo('{name}')").fetchall(),
                sorted(
                    (
                        index[2:],
                        tuple(connection.execute(f"PRAGMA index_xinfo('{index[1]}')").fetchall()),
                    )
                    for index in connection.execute(f"PRAGMA index_list('{name}')")
                ),
            )
            for name in names
        }


def test_migrations_and_tables_agree(tmp_path: Path) -> None:
    path = tmp_path / "migrated.db"
    with closing(new_file(path)) as driver:
        upgrade.to_head(driver)
        engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            differences = compare_metadata(context, schema.metadata)

    assert differences == []


def test_a_new_ledger_has_the_schema_that_the_migrations_lead_to(tmp_path: Path) -> None:
    with closing(new_file(tmp_path / "migrated.db")) as driver:
        upgrade.to_head(driver)
    prepare(tmp_path / "data").close()

    assert schema_of(tmp_path / "data" / "tuckshop.db") == schema_of(tmp_path / "migrated.db")


def test_the_head_that_is_stamped_is_the_newest_migration() -> None:
    assert upgrade.head() == schema_version.HEAD


def test_the_migrations_can_be_worded_for_postgresql() -> None:
    out = io.StringIO()
    config = upgrade.config()
    config.output_buffer = out
    config.attributes["dialect_name"] = "postgresql"

    command.upgrade(config, "head", sql=True)

    assert "CREATE TABLE counters" in out.getvalue()
    assert "WHERE state = 'reserved'" in out.getvalue()


def test_an_older_ledger_is_migrated_with_a_backup_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older ledger is one that has none of the tables."""
    prepare(tmp_path).close()
    path = tmp_path / "tuckshop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in schema.metadata.tables:
            if table != "settings":
                connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    ran: list[str] = []

    def to_head(driver: WriterConnection) -> None:
        ran.append("migration")
        driver.execute("UPDATE alembic_version SET version_num = ?", (schema_version.HEAD,))

    monkeypatch.setattr(upgrade, "knows", lambda revision: revision == "0000")
    monkeypatch.setattr(upgrade, "to_head", to_head)

    prepare(tmp_path).close()

    backup = tmp_path / f"tuckshop.db.before-{schema_version.HEAD}"
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)
    assert ran == ["migration"]
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_new_ledger_and_one_of_this_version_need_no_alembic(tmp_path: Path) -> None:
    """It costs 0.8 s of a cold start."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from tuckshop.storage.database import prepare\n"
        f"for _ in range(2): prepare(Path({str(tmp_path)!r})).close()\n"
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
