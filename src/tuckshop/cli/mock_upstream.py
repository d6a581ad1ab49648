"""`tuckshop mock-upstream`: the made-up provider alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tuckshop.cli.client import RefusedError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("mock-upstream")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8100,
    show_default=True,
    help="Where to listen; 0 takes a free one.",
)
@click.option("--bill", type=_FILE, help="A file to write what is billed to.")
@click.option("--record", type=_FILE, help="A file to write each request to.")
@click.option(
    "--credential-file",
    type=click.File(encoding="ascii"),
    help="Holds the only credential that is let in; without it, any is.",
)
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    help="The speed of each answer; without it, as fast as possible.",
)
@click.option(
    "--first-token-ms",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="How long an answer takes to begin.",
)
@click.option(
    "--run-ahead-tokens",
    type=click.IntRange(0),
    default=32,
    show_default=True,
    help="How far it generates ahead of a client that does not read.",
)
@click.option(
    "--after-leave-tokens",
    type=click.IntRange(0),
    default=16,
    show_default=True,
    help="How many tokens it generates, and bills, after a stream's client has left.",
)
def mock_upstream(host: str, port: int, credential_file: Any, **options: Any) -> None:
    """
    Start the made-up provider alone, for tests and load runs. SIGTERM or Ctrl-C ends it.

    \b
    Example:
      tuckshop mock-upstream --port 8100 --tokens-per-second 60
      OPENAI_BASE_URL=http://127.0.0.1:8100/v1 OPENAI_API_KEY=sk-anything tuckshop serve
    """
    # Only here: help does without it.
    from tuckshop.mock_upstream.server import run

    credential = None if credential_file is None else credential_file.read().strip()
    try:
        run(host, port, credential=credential, **options)
    except OSError as error:
        raise RefusedError(f"{host} port {port}: {error.strerror or error}.") from error
