"""Alembic, driven from here: no ini file, no command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from tuckshop.storage.sqlite import WriterConnection

_FOLDER: Final = Path(__file__).parent


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, over an open *connection*."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def knows(revision: str) -> bool:
    """Whether *revision* is one of ours."""
    try:
        return ScriptDirectory.from_config(config()).get_revision(revision) is not None
    except CommandError:
        return False


def head() -> str | None:
    """The newest revision."""
    return ScriptDirectory.from_config(config()).get_current_head()


def to_head(driver: WriterConnection) -> None:
    """Run what is missing, in one transaction (D9): on this connection Alembic's own commits do nothing."""
    engine = create_engine("sqlite://", creator=lambda: driver, poolclass=StaticPool)
    with engine.connect() as connection:
        driver.execute("BEGIN IMMEDIATE")
        try:
            run(connection)
        except BaseException:
            driver.execute("ROLLBACK")
            raise
        driver.execute("COMMIT")


def run(connection: Connection) -> None:
    """Run what is missing over *connection*; whoever opened its transaction commits."""
    command.upgrade(config(connection), "head")
