"""The command as a whole: quick help, examples everywhere, exit statuses, settings shown without secrets."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.unit.cli.conftest import Run
from tuckshop.cli.main import COMMANDS, cli


def _all_commands() -> Iterator[tuple[str, click.Command]]:
    def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield path, command
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                for name in command.list_commands(context):
                    inner = command.get_command(context, name)
                    assert inner is not None
                    yield from below(f"{path} {name}", inner)

    yield from below("tuckshop", cli)


@pytest.mark.parametrize(("path", "command"), list(_all_commands()), ids=lambda it: str(it))
def test_every_command_has_help_with_an_example(path: str, command: click.Command) -> None:
    assert command.help is not None
    assert "Example:" in command.help
    assert "tuckshop " in command.help.partition("Example:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_called(run: Run, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0, result.output


def test_commands_that_print_data_print_json() -> None:
    without = {
        path
        for path, command in _all_commands()
        if not isinstance(command, click.Group)
        and not any("--json" in parameter.opts for parameter in command.params)
    }

    assert without == {
        "tuckshop serve",
        "tuckshop demo",
        "tuckshop mock-upstream",
        "tuckshop completion",
    }


# They call no server: they are one, write what a shell reads, or look at files alone.
_NEED_NO_SERVER = ("serve", "demo", "mock-upstream", "completion", "config", "restore")


def _examples() -> Iterator[str]:
    for _, command in _all_commands():
        text = (command.help or "").partition("Example:")[2].replace("\\\n", " ")
        yield from (
            line.strip() for line in text.splitlines() if line.strip().startswith("tuckshop ")
        )


@pytest.mark.parametrize("example", sorted({*_examples()}))
def test_examples_parse_and_without_a_server_each_says_so(run: Run, example: str) -> None:
    words = shlex.split(re.split(r" [|<>] ?", example)[0], comments=True)[1:]
    if words[0] in _NEED_NO_SERVER:
        return

    result = run(*words, stdin="x\n")

    assert result.exit_code == 1, result.output  # 2 would be an example that does not parse
    assert result.stderr.startswith("Error: ") or words[0] == "doctor"
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("path", [path for path, _ in _all_commands()])
def test_a_usage_error_is_status_2(run: Run, path: str) -> None:
    result = run(*path.split()[1:], "--no-such-option")

    assert result.exit_code == 2
    assert "--no-such-option" in result.stderr


def test_no_secret_is_an_argument() -> None:
    for path, command in _all_commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.is_flag:
                continue  # it takes no value
            names = " ".join(parameter.opts)
            # Tokens are also what models count.
            name = names.replace("first-token-ms", "")
            name = re.sub(
                "tokens-per-second|(run-ahead|after-leave|output|input|context)-tokens", "", name
            )
            name = name.replace("credential-file", "")
            words = ("token", "secret", "password", "credential")
            assert not any(word in name for word in words), f"{path} {names}"


def test_help_comes_without_importing_a_command() -> None:
    program = (
        "import sys\n"
        "from tuckshop.cli.main import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'sqlalchemy', 'rich', 'starlette', 'msgspec', 'http.client', 'uvloop'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)


def test_config_tells_where_each_setting_came_from(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tuckshop.toml").write_text(
        'timezone = "Europe/Berlin"\n[edge]\njson_max_depth = 9\n'
    )

    result = run(
        *("config", "--json", "--changed"),
        environment={
            "TUCKSHOP_PORT": "9000",
            "OPENAI_API_KEY": "sk-real-0123456789-abcdefgh",
            "TUCKSHOP_ADMIN_TOKEN": "short-but-ok-0123",
        },
    )

    rows = {
        row["setting"]: (row["value"], row["origin"]) for row in json.loads(result.stdout)["data"]
    }
    assert rows == {
        "TUCKSHOP_PORT": (9000, "TUCKSHOP_PORT"),
        "TUCKSHOP_TIMEZONE": ("Europe/Berlin", "tuckshop.toml, timezone"),
        "TUCKSHOP_EDGE_JSON_MAX_DEPTH": (9, "tuckshop.toml, [edge] json_max_depth"),
        "OPENAI_API_KEY": ("…efgh", "OPENAI_API_KEY"),
        "TUCKSHOP_ADMIN_TOKEN": ("(set)", "TUCKSHOP_ADMIN_TOKEN"),
    }


def test_config_shows_every_setting(run: Run) -> None:
    result = run("config")

    assert "TUCKSHOP_DATA" in result.stdout
    assert "tuckshop-data" in result.stdout
    assert "(none)" in result.stdout


def test_a_bad_setting_is_status_1(run: Run) -> None:
    result = run("config", environment={"TUCKSHOP_PORT": "eighty"})

    assert result.exit_code == 1
    assert "TUCKSHOP_PORT" in result.stderr
