"""The shell completes commands and options; every command answers 0 to --help and 2 to what it does not know."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tests.unit.cli.test_main import _all_commands
from tuckshop.cli.completion import SHELLS
from tuckshop.cli.main import cli

COMMANDS = [path.split()[1:] for path, _ in _all_commands()]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_that_asks_the_command(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="tuckshop")

    assert result.exit_code == 0, result.output
    assert f"_TUCKSHOP_COMPLETE={shell}_complete" in result.output


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [
        ("tuckshop gr", 1, "group"),
        ("tuckshop group cr", 2, "create"),
        ("tuckshop group create --pat", 3, "--patience-s"),
        ("tuckshop completion ", 2, "fish"),
    ],
)
def test_what_was_begun_is_completed(words: str, place: int, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from tuckshop.cli.main import main; main()"],
        env={
            "PYTHONPATH": ":".join(sys.path),
            "_TUCKSHOP_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        },
        capture_output=True,
        text=True,
    )

    assert f"plain,{expected}" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_status_0_and_an_unknown_option_2(command: list[str]) -> None:
    runner = CliRunner()

    assert runner.invoke(cli, [*command, "--help"]).exit_code == 0
    unknown = runner.invoke(cli, [*command, "--there-is-no-such-option"])
    assert unknown.exit_code == click.UsageError.exit_code == 2
