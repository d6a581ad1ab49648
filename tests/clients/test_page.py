"""Every program on the page on clients runs as it stands there, with the variables that the page says to set."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewKey
from tests.acceptance.test_openai_client import rows_of
from tests.clients.conftest import NEWEST, NODE_PACKAGES, OLDER, ROOT, run_python
from tests.support.node import run_node
from tests.support.processes import Server, clean_environment

PAGE = (ROOT / "docs/how-to/clients.md").read_text(encoding="utf-8")
_OLDER_SECTIONS = ("LlamaIndex", "instructor")
_REFUSED = "a-model-that-nobody-knows"  # the program that shows how errors are caught calls for it


def programs() -> list[tuple[str, str, str]]:
    """(section, language, text) of every program of the page, in order."""
    found = []
    for section in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        for language, text in re.findall(
            r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE
        ):
            found.append((title, language, text))
    return found


SETTINGS, *PROGRAMS = programs()


def settings_as_told(server: Server, key: str) -> dict[str, str]:
    """What the page's block of `export` lines leaves in the environment."""
    shell = f"{filled_in(SETTINGS[2], server, key)}\nenv -0"
    printed = subprocess.run(
        ["bash", "-euc", shell],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pairs = dict(line.split("=", 1) for line in printed.split("\0") if line)
    return {name: value for name, value in pairs.items() if name.startswith("OPENAI_")}


def filled_in(text: str, server: Server, key: str) -> str:
    return text.replace("https://tuckshop.example.org", server.url).replace("sk-tuck-…", key)


def test_the_page_begins_with_the_variables() -> None:
    assert SETTINGS[1] == "sh"
    assert all(line.startswith("export OPENAI_") for line in SETTINGS[2].splitlines())


@pytest.mark.parametrize(
    ("section", "language", "text"),
    PROGRAMS,
    ids=[f"{n}-{section}-{language}" for n, (section, language, _) in enumerate(PROGRAMS, 1)],
)
def test_a_program_of_the_page_runs(
    section: str, language: str, text: str, server: Server, new_key: NewKey, tmp_path: Path
) -> None:
    key = new_key(each=["$1/month", "35 requests/minute"])
    environment = settings_as_told(server, key) | {"HOME": str(tmp_path)}
    program = tmp_path / f"program.{'mjs' if language == 'js' else language}"
    program.write_text(filled_in(text, server, key), encoding="utf-8")

    if language == "js":
        printed = run_node(
            program,
            packages=NODE_PACKAGES,
            folder=tmp_path,
            environment=environment,
            node=str(NEWEST / "node"),
        )
    elif language == "python":
        binaries = OLDER if section in _OLDER_SECTIONS else NEWEST
        printed = run_python(binaries, program, folder=tmp_path, environment=environment)
    else:
        printed = run_shell(program, environment)

    assert printed.strip()
    rows = rows_of(server, key)
    assert rows
    status = "refused" if _REFUSED in text else "settled"
    assert {row["status"] for row in rows} == {status}


def run_shell(program: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-eu", program.name],
        cwd=program.parent,
        env=clean_environment()
        | environment
        | {"PATH": f"{NEWEST}:{os.environ['PATH']}", "LLM_USER_PATH": str(program.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
