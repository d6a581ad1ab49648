"""`tuckshop privacy`: papers for data protection, and what they have to be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, note, print_facts, print_json
from tuckshop.cli.private_file import create_private, write_text

_LINES: Final = {
    "controller": "Name and address of who is responsible.",
    "representative": "Who acts for it.",
    "contact": "Whom people write to about their data.",
    "officer": "The data protection officer, with contact.",
    "authority": "The supervisory authority.",
    "purpose": "What the service is offered for.",
    "legal_basis": "Such as 'Art. 6(1)(e) GDPR with § 4 of the state's law'.",
    "hosting": "Who runs the server, and where.",
    "backups": "Where copies lie, and how long.",
    "logs": "How long the machine keeps the server's log.",
    "notice_url": "Where people find the notice; without it, with their key.",
}
_WHY: Final = "somebody may have filled it in"
_OF_PROVIDERS: Final = {
    "company": "Name and address of the company behind the upstream.",
    "region": "Where it processes calls.",
    "contract": "The agreement on processing (Art. 28).",
    "transfer": "The ground of a transfer to a third country (Art. 44 ff.).",
    "retention": "What it keeps, and how long.",
}


@click.group()
def privacy() -> None:
    """
    Papers for data protection, from what is in force: notice, record of processing, impact assessment.

    What the server cannot know (who is responsible, what contracts say) is stated by `set`; until then the papers show
    a gap.

    \b
    Example:
      tuckshop privacy set --controller 'University of Example, 1 Main Street'
      tuckshop privacy notice --group swa --lang de --out notice.html
    """


def _lines(command: options.Command) -> options.Command:
    for table in (_OF_PROVIDERS, _LINES):
        for name, help_ in reversed(table.items()):
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, metavar="TEXT", help=help_)(command)
    return command


@privacy.command()
@options.as_json
def show(as_json: bool) -> None:
    """
    Show what is stated.

    \b
    Example:
      tuckshop privacy show
    """
    _show(Client.connect().get("privacy"), as_json)


@privacy.command("set")
@click.option(
    "--provider",
    metavar="UPSTREAM",
    help="The upstream that --company, --region, --contract, --transfer and --retention are about.",
)
@_lines
@options.unset_option(*_LINES)
@options.as_json
def set_(provider: str | None, unset: tuple[str, ...], as_json: bool, **lines: str | None) -> None:
    """
    State what the papers have to be told. What is not named stays.

    \b
    Example:
      tuckshop privacy set --contact 'it-help@uni.example.org' --officer 'dpo@uni.example.org'
      tuckshop privacy set --provider openai --company 'OpenAI Ireland Ltd., Dublin' --region EU
    """
    of_provider = {name: lines.pop(name) for name in _OF_PROVIDERS}
    said = {name: value for name, value in of_provider.items() if value is not None}
    if said and provider is None:
        raise click.UsageError("Of which upstream? Name it by --provider.")
    if provider is not None and not said:
        raise click.UsageError(f"Say what of {provider}: see --help.")
    fields: dict[str, Any] = dict(lines)
    if provider is not None:
        fields["providers"] = {provider: said}
    body = options.change_of(fields, unset=unset, empty=())
    _show(Client.connect().patch("privacy", body=body), as_json)


def _paper_options(command: options.Command) -> options.Command:
    for option in (
        options.as_json,
        click.option(
            "--out",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Into this new file: a page to print (.html), or Markdown (.md).",
        ),
        click.option(
            "--lang",
            type=click.Choice(["en", "de"]),
            default="en",
            show_default=True,
            help="In which language.",
        ),
        click.option("--group", metavar="GROUP", help="Of this group; without it, of all of them."),
    ):
        command = option(command)
    return command


@privacy.command()
@_paper_options
def notice(**asked: Any) -> None:
    """
    Write the privacy notice for those who get keys (Art. 13 GDPR).

    \b
    Example:
      tuckshop privacy notice --group swa --lang de --out notice.html
    """
    _write("notice", **asked)


@privacy.command()
@_paper_options
def record(**asked: Any) -> None:
    """
    Write the record of processing activities (Art. 30 GDPR).

    \b
    Example:
      tuckshop privacy record --lang de --out record.md
    """
    _write("record", **asked)


@privacy.command()
@_paper_options
def dpia(**asked: Any) -> None:
    """
    Write a sheet for the data protection impact assessment (Art. 35 GDPR).

    \b
    Example:
      tuckshop privacy dpia --group swa --out dpia.html
    """
    _write("dpia", **asked)


def _write(paper: str, group: str | None, lang: str, out: Path | None, as_json: bool) -> None:
    kind = None if out is None else out.suffix.lower()
    if out is not None and (kind not in (".html", ".md") or as_json):
        raise click.UsageError("--out takes a FILE.html or a FILE.md, and no other form.")
    path = ("privacy", paper) if group is None else ("groups", group, "privacy", paper)
    client = Client.connect()
    answer = client.get(*path, lang=lang)
    if as_json:
        print_json(answer)
        return
    if out is None:
        click.echo("\n".join(map(clean, answer["markdown"].rstrip("\n").split("\n"))))
    elif kind == ".md":
        write_text(create_private(out, why=_WHY), out, answer["markdown"])
    else:
        _copy_page(client, path, out, lang)
    gaps = answer["to_fill"]
    if gaps:
        note(f"Gaps to fill in: {len(gaps)}; what the server can be told: tuckshop privacy set")
    if out is not None:
        note(f"Written to {out}, which only you can read.")


def _copy_page(client: Client, path: tuple[str, ...], out: Path, lang: str) -> None:
    file = create_private(out, why=_WHY)
    try:
        with file, out.open("wb") as bytes_of_it:
            client.copy("text/html", *path, out=bytes_of_it, lang=lang)
    except RefusedError:
        out.unlink()
        raise


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        "Stated for papers of data protection",
        [(name.replace("_", " "), one[name] or "not stated") for name in _LINES],
    )
    for name, provider in one["providers"].items():
        print_facts(
            f"Upstream {name}",
            [(field, provider[field] or "not stated") for field in _OF_PROVIDERS],
        )
