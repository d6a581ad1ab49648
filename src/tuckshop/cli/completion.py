"""`tuckshop completion`: commands and options completed by the shell."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = (
    "_TUCKSHOP_COMPLETE"  # by which the shell asks; click hears it before any command
)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Print the script by which SHELL completes commands, options and choices. It needs no server.

    \b
    Example:
      tuckshop completion bash > ~/.local/share/bash-completion/completions/tuckshop
      tuckshop completion zsh > ~/.zfunc/_tuckshop
      tuckshop completion fish > ~/.config/fish/completions/tuckshop.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "tuckshop", _VARIABLE).source())
