"""`tuckshop config`: the settings in force, and where each came from."""

from __future__ import annotations

from pathlib import Path

import click

from tuckshop.cli import options
from tuckshop.cli.client import Json
from tuckshop.cli.output import as_list, note, print_json, print_table
from tuckshop.mailing.smtp_url import parse_smtp_url
from tuckshop.settings import SECRETS, Loaded, environment_name, load_from_process
from tuckshop.upstreams.proxy import parse_proxy


@click.command()
@click.option("--changed", is_flag=True, help="Only those that are set.")
@options.as_json
def config(changed: bool, as_json: bool) -> None:
    """
    Show the settings in force, and where each came from. Secrets are masked.

    \b
    Example:
      tuckshop config --changed
    """
    rows = [
        row for row in rows_of(load_from_process()) if not changed or row["origin"] != "default"
    ]
    if as_json:
        print_json(as_list(rows))
        return
    if not rows:
        note("Nothing is set here: every setting has its default.")
        return
    print_table(
        ["setting", "value", "from"],
        [
            [row["setting"], "(none)" if row["value"] is None else row["value"], row["origin"]]
            for row in rows
        ],
        whole=frozenset({"setting"}),
    )


def rows_of(loaded: Loaded) -> list[Json]:
    """Every setting by its environment variable, with value and origin."""
    rows = []
    for name, origin in loaded.origins.items():
        owner, _, field = name.rpartition(".")
        value = getattr(loaded.settings.edge if owner else loaded.settings, field)
        if isinstance(value, Path):
            value = str(value)
        if isinstance(value, tuple):
            value = ", ".join(value) or None
        if name == "upstream_proxy" and value is not None:
            value = f"http://{'…@' if '@' in value else ''}{parse_proxy(value)}"
        elif name == "smtp_url" and value is not None:
            value = str(parse_smtp_url(value))
        elif name in SECRETS and value is not None:
            value = f"…{value[-4:]}" if len(value) >= 20 else "(set)"
        rows.append({"setting": environment_name(name), "value": value, "origin": origin})
    return rows
