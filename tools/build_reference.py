"""
Writes the reference pages that are made from code: docs/reference/cli.md and settings.md.

    python -m tools.build_reference

A test fails while a page differs from what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from tuckshop.cli.main import cli
from tuckshop.settings import SECRETS, documented, environment_name

FOLDER: Final = Path(__file__).parents[1] / "docs" / "reference"
_MADE: Final = "<!-- Made by `python -m tools.build_reference` from the code; not to be edited. -->"

_CLI_HEAD: Final = f"""# Command line

{_MADE}

`tuckshop` is a client of the [admin API](admin-api.md). On the server's machine it finds the running server through the
data folder (`TUCKSHOP_DATA`), elsewhere through `TUCKSHOP_URL` and `TUCKSHOP_ADMIN_TOKEN` (better:
`TUCKSHOP_ADMIN_TOKEN_FILE`); on a terminal it asks for a token that is missing. Only `verify`, `backup`, `restore`,
`doctor` and `config` look at the data folder and the settings themselves.

- Exit status: 0 done, 1 refused (the reason is on standard error), 2 used wrongly.
- Options are named like the fields of the API, and repeated for lists. `--unset FIELD` puts a field back to its
  default; `--empty models` makes an allow-list allow nothing.
- `--json` prints what the API answered; lists as `{{"data": […], "next_cursor": null}}`, read to their end.
- Write limits in single quotes: elsewhere the shell replaces `$0` in `$0.20/month` by its own name.
- Secrets come from a prompt, standard input or a file, never as arguments. A new key is printed once, alone on standard
  output.
- A *member* is named by id (`mem_…`) or as `GROUP/EXTERNAL_ID` (`swa/4711`), a *group* by name or id, a *key* by id.

"""

_SETTINGS_HEAD: Final = f"""# Settings

{_MADE}

Every setting is an environment variable, or a line of `tuckshop.toml` in the working directory; the environment wins.
Secrets can also stand in a file that the variable with `_FILE` at its end names. A setting that does not exist is an
error. `tuckshop config` shows what is in force and where it came from.

"""


def cli_page() -> str:
    """The page of all commands, as their help says it."""
    return _CLI_HEAD + "\n".join(_commands("tuckshop", cli, level=2))


def settings_page() -> str:
    """The page of all settings."""
    plain = [row for row in documented() if not row[1].startswith("[edge]")]
    edge = [row for row in documented() if row[1].startswith("[edge]")]
    secrets = {environment_name(name) for name in SECRETS}
    lines = ["| variable | in tuckshop.toml | default | meaning |", "| --- | --- | --- | --- |"]
    for variable, place, default, meaning in plain:
        shown = f"`{variable}`" + (f", `{variable}_FILE`" if variable in secrets else "")
        lines.append(f"| {shown} | `{place}` | {_code(default)} | {meaning} |")
    lines += [
        "",
        "## The HTTP edge",
        "",
        "In the table `[edge]` of `tuckshop.toml`, or as `TUCKSHOP_EDGE_…`. Times are in seconds.",
        "",
        "| variable | in `[edge]` | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for variable, place, default, meaning in edge:
        lines.append(
            f"| `{variable}` | `{place.removeprefix('[edge] ')}` | {_code(default)} | {meaning} |"
        )
    return _SETTINGS_HEAD + "\n".join(lines) + "\n"


def _commands(path: str, command: click.Command, *, level: int) -> Iterator[str]:
    settings: dict[str, Any] = {**cli.context_settings, "terminal_width": 100}
    with click.Context(command, info_name=path, **settings) as context:
        help_text = command.get_help(context)
        names = command.list_commands(context) if isinstance(command, click.Group) else []
        yield f"{'#' * level} {path}\n\n```text\n{help_text.rstrip()}\n```\n"
        for name in names:
            assert isinstance(command, click.Group)
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(f"{path} {name}", inner, level=min(level + 1, 4))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def main() -> None:
    """Write both pages."""
    (FOLDER / "cli.md").write_text(cli_page(), encoding="utf-8")
    (FOLDER / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
