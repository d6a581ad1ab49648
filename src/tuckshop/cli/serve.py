"""`tuckshop serve`: start the server."""

from __future__ import annotations

import click

from tuckshop.settings import load_from_process


@click.command()
def serve() -> None:
    """
    Start the server. Everything is set by environment variables or tuckshop.toml.

    SIGTERM or Ctrl-C: stop accepting, let running requests end, settle, exit.

    \b
    Example:
      OPENAI_API_KEY=sk-… tuckshop serve
      TUCKSHOP_PORT=9000 TUCKSHOP_DATA=/srv/tuckshop OPENAI_API_KEY_FILE=/run/key tuckshop serve
    """
    settings = load_from_process().settings
    # Only here: no other command needs all of it, and a bad setting is told at once.
    from tuckshop import logs, server

    logs.configure(settings.log_level, settings.log_format)
    server.run(settings)
