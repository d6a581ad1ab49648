"""`tuckshop upstream`: the provider accounts behind the counter, and their credentials."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import allowed, as_list, note, print_facts, print_json, print_table

CREDENTIAL_FILE_MAX_BYTES: Final = 65_536


def _fields(command: options.Command) -> options.Command:
    """The fields of an upstream."""
    for option in (
        click.option(
            "--credential-file",
            type=click.Path(path_type=Path, allow_dash=True),
            help="A file that holds the credential; - is standard input.",
        ),
        click.option(
            "--models",
            multiple=True,
            metavar="GLOB",
            help="Models that it serves, such as 'gpt-4o*'; without it, all that have a price. Repeat.",
        ),
        click.option(
            "--profile",
            type=click.Choice(["openai", "compatible"]),
            help="Which fields it knows: compatible for vLLM, Ollama and other providers.",
        ),
        click.option("--base-url", metavar="URL", help="Such as https://api.openai.com/v1."),
    ):
        command = option(command)
    return command


@click.group()
def upstream() -> None:
    """
    Upstreams: the provider accounts behind the counter.

    A model's name goes to the first upstream of the list that serves it, UPSTREAM/MODEL to that one.

    \b
    Example:
      tuckshop upstream add second --base-url https://llm.example.org/v1 --profile compatible
      tuckshop upstream edit openai --credential
      tuckshop upstream test openai
    """


@upstream.command()
@click.argument("name")
@_fields
@options.as_json
def add(name: str, as_json: bool, credential_file: Path | None, **fields: object) -> None:
    """
    Add the upstream NAME. Its credential is asked for, or read from standard input or a file.

    \b
    Example:
      tuckshop upstream add second --base-url https://llm.example.org/v1 --profile compatible
      tuckshop upstream add second --credential-file /run/secrets/second-key --models 'gpt-4o*'
    """
    body = options.body_of({"name": name, **fields})
    body["credential"] = _credential(credential_file)
    made = Client.connect().make("upstreams", body=body)
    _show(made, as_json)
    if not as_json:
        note(f"Next: tuckshop upstream test {made['name']}")


@upstream.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """
    List upstreams, in the order in which a model's name is looked for.

    \b
    Example:
      tuckshop upstream list --json
    """
    found = list(Client.connect().rows("upstreams"))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is no upstream yet. Set OPENAI_API_KEY_FILE, or: tuckshop upstream add openai")
    else:
        print_table(
            ["name", "base url", "profile", "credential", "models"],
            [
                [
                    *(one["name"], one["base_url"], one["profile"], _hint(one)),
                    "all" if one["models"] is None else ", ".join(one["models"]),
                ]
                for one in found
            ],
        )


@upstream.command()
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """
    Show the upstream NAME (a name or an id).

    \b
    Example:
      tuckshop upstream show openai
    """
    _show(Client.connect().get("upstreams", name), as_json)


@upstream.command()
@click.argument("name")
@click.option("--name", "new_name", help="A new name.")
@click.option(
    "--credential",
    "asks",
    is_flag=True,
    help="Give it a new credential: asked for, or read from standard input. Never an argument.",
)
@_fields
@options.unset_option("models", "profile", "credential")
@options.empty_option("models")
@options.as_json
def edit(
    name: str,
    new_name: str | None,
    asks: bool,
    as_json: bool,
    credential_file: Path | None,
    unset: tuple[str, ...],
    empty: tuple[str, ...],
    **fields: object,
) -> None:
    """
    Change the upstream NAME. What is not named stays; the next call goes by the change, running ones end as they began.

    Another scheme, host or port drops its credential, unless a new one is given with it.

    \b
    Example:
      tuckshop upstream edit openai --credential
      tuckshop upstream edit openai --credential-file /run/secrets/new-openai-key
    """
    if asks and credential_file is not None:
        raise click.UsageError("Say --credential or --credential-file, not both.")
    client = Client.connect()
    secret = _credential(credential_file) if asks or credential_file is not None else None
    fields |= {"name": new_name, "credential": secret}
    body = options.change_of(fields, unset=unset, empty=empty)
    before = client.get("upstreams", name)
    made = client.patch("upstreams", name, body=body)
    _show(made, as_json)
    if before["credential_source"] == "setting" and body.keys() & {
        "credential",
        "base_url",
        "profile",
    }:
        note(
            "This upstream follows the server's settings (OPENAI_API_KEY …) at every start: change them too, or the"
            " next start takes this back."
        )
    if made["credential_source"] is None:
        note(f"It has no credential now. Next: tuckshop upstream edit {made['name']} --credential")


@upstream.command()
@click.argument("name")
@options.as_json
def test(name: str, as_json: bool) -> None:
    """
    Ask the upstream NAME for its models with its credential, which costs nothing; exit status 1 if that fails.

    \b
    Example:
      tuckshop upstream test openai
    """
    found = Client.connect().post("upstreams", name, "test")
    if as_json:
        print_json(found)
    if found["result"] != "ok":
        raise RefusedError(found["message"])
    if not as_json:
        note(found["message"])


@upstream.command()
@click.argument("name")
@options.as_json
def remove(name: str, as_json: bool) -> None:
    """
    Remove the upstream NAME and its credential. Running calls end; the request log keeps its name.

    \b
    Example:
      tuckshop upstream remove second
    """
    gone = Client.connect().delete("upstreams", name)
    if as_json:
        print_json(gone)
    else:
        note(f"{gone['name']} is removed.")
    if gone["credential_source"] == "setting":
        note(
            "The server's settings (OPENAI_API_KEY) name it: unset them, or the next start adds it."
        )


def _credential(file: Path | None) -> str:
    """What the file, standard input or a prompt says, without the line's end."""
    if file is not None and str(file) != "-":
        try:
            with file.open("rb") as opened:
                raw = opened.read(CREDENTIAL_FILE_MAX_BYTES)
        except OSError as error:
            raise RefusedError(f"{file} cannot be read: {error.strerror or error}.") from error
    elif file is None and sys.stdin.isatty():
        asked = click.prompt("The provider's key (it is not shown)", hide_input=True, err=True)
        assert isinstance(asked, str)
        return asked.strip()
    else:
        raw = sys.stdin.buffer.read(CREDENTIAL_FILE_MAX_BYTES)
    try:
        secret = raw.decode().strip()
    except UnicodeDecodeError:
        raise RefusedError("That is no text, so it is no credential.") from None
    if not secret:
        raise RefusedError(
            "No credential was given: type it at the prompt, pipe it in, or name --credential-file."
        )
    return secret


def _hint(one: Json) -> str:
    if one["credential_source"] is None:
        return "none"
    hint = f"…{one['last4']}" if one["last4"] else "given"
    if one["state"] == "no_credential":
        return f"{hint} (does not open)"
    if one["state"] == "refused":
        return f"{hint} (refused)"
    return f"{hint} (settings)" if one["credential_source"] == "setting" else hint


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        one["name"],
        [
            ("id", one["id"]),
            ("base url", one["base_url"]),
            ("family", one["family"]),
            ("profile", one["profile"]),
            ("models", allowed(one["models"])),
            ("credential", _hint(one)),
            ("state", str(one["state"]).replace("_", " ")),
        ],
    )
