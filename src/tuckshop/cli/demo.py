"""`tuckshop demo`: the whole thing with a made-up provider and a made-up class."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Where to listen; 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("tuckshop-demo"),
    show_default=True,
    help="A data folder of its own, made anew each time.",
)
def demo(host: str, port: int, data: Path) -> None:
    """
    Start the whole thing with a made-up provider and a made-up class.

    It needs no key and no network, looks at no setting, and prints what to paste to get an answer. Ctrl-C ends it.

    \b
    Example:
      tuckshop demo
      tuckshop demo --port 9000
    """
    # Only here: no other command needs all of it.
    from tuckshop.demo.run import run

    command = "tuckshop" if shutil.which("tuckshop") else sys.argv[0]
    run(folder=data, host=host, port=port, command=command, say=click.echo)
