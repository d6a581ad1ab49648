"""`tuckshop webhook`: programs that are told what happens, each at an address of its own."""

from __future__ import annotations

from typing import Final, get_args

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import (
    as_list,
    clean,
    note,
    print_facts,
    print_json,
    print_table,
    stamp,
    when,
)
from tuckshop.domain.notices import NOTICE_KINDS
from tuckshop.domain.webhooks import DeliveryState, WebhookState

SHOWN_MAX: Final = 20


def _fields(command: options.Command) -> options.Command:
    """What it is told of, and where it may be."""
    for option in (
        click.option(
            "--reach",
            type=click.Choice(["public", "any"]),
            help="any, the operator's alone: also addresses that are not public, and http.",
        ),
        click.option(
            "--groups",
            multiple=True,
            metavar="GROUP",
            help="Only of this group, by name or id; without it of all, which the operator may. Repeat.",
        ),
        click.option(
            "--kinds",
            multiple=True,
            type=click.Choice(NOTICE_KINDS),
            metavar="KIND",
            help=f"Only of this kind: {', '.join(NOTICE_KINDS)}; without it of all. Repeat.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def webhook() -> None:
    """
    Webhooks: programs that are told what happens, such as a budget that is nearly used up.

    Each delivery is signed, as Standard Webhooks has it, and sent again until it arrives. It holds ids and numbers,
    never names.

    \b
    Example:
      tuckshop webhook add https://hooks.example.org/tuckshop --kinds shared_budget --groups swa
      tuckshop webhook test hok_06f…
      tuckshop webhook list
    """


@webhook.command()
@click.argument("url")
@_fields
@options.as_json
def add(url: str, as_json: bool, **fields: object) -> None:
    """
    Tell the program at URL. The secret that deliveries are signed with is shown once.

    \b
    Example:
      tuckshop webhook add https://hooks.example.org/tuckshop --groups swa
      tuckshop webhook add https://hooks.example.org/tuckshop --kinds upstream_refused --kinds alarm
    """
    made = Client.connect().make("webhooks", body=options.body_of({"url": url, **fields}))
    _show(made, as_json)
    if not as_json:
        note(f"Next: tuckshop webhook test {made['id']}")


@webhook.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """
    List webhooks: where, whether deliveries arrive, and how many wait or were given up.

    \b
    Example:
      tuckshop webhook list
    """
    found = list(Client.connect().rows("webhooks"))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is no webhook yet: tuckshop webhook add https://…")
    else:
        print_table(
            ["id", "url", "state", "waiting", "dead", "told"],
            [
                [
                    *(one["id"], one["url"], _state(one), str(one["waiting"]), str(one["dead"])),
                    one["told"] or "",
                ]
                for one in found
            ],
            whole=frozenset({"id"}),
            expendable=["told"],
        )


@webhook.command()
@click.argument("webhook")
@options.as_json
def show(webhook: str, as_json: bool) -> None:
    """
    Show a webhook, by its id.

    \b
    Example:
      tuckshop webhook show hok_06f…
    """
    _show(Client.connect().get("webhooks", webhook), as_json)


@webhook.command()
@click.argument("webhook")
@click.option("--url", metavar="URL", help="Another address; another host gets a new secret.")
@_fields
@click.option(
    "--state",
    type=click.Choice(get_args(WebhookState)),
    help="paused: nothing is sent; active: again, and at once what waits.",
)
@click.option("--new-secret", is_flag=True, help="Sign with a new secret from now on; shown once.")
@options.unset_option("kinds", "groups")
@options.as_json
def edit(
    webhook: str, as_json: bool, new_secret: bool, unset: tuple[str, ...], **fields: object
) -> None:
    """
    Change a webhook, by its id. What is not named stays.

    \b
    Example:
      tuckshop webhook edit hok_06f… --kinds shared_budget --kinds upstream_refused
      tuckshop webhook edit hok_06f… --state active
      tuckshop webhook edit hok_06f… --new-secret
    """
    body = options.change_of({**fields, "new_secret": new_secret or None}, unset=unset, empty=())
    _show(Client.connect().patch("webhooks", webhook, body=body), as_json)


@webhook.command()
@click.argument("webhook")
@click.option("--state", type=click.Choice(get_args(DeliveryState)), help="Only these.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=SHOWN_MAX,
    show_default=True,
    help="At most so many.",
)
@options.as_json
def deliveries(webhook: str, state: str | None, limit: int, as_json: bool) -> None:
    """
    List what was sent to a webhook, waits, or was given up; newest first.

    \b
    Example:
      tuckshop webhook deliveries hok_06f… --state dead
    """
    found = list(Client.connect().rows("webhooks", webhook, "deliveries", state=state, limit=limit))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There is no such delivery.")
    else:
        print_table(
            ["id", "kind", "state", "tries", "queued (UTC)", "next (UTC)", "told"],
            [
                [
                    *(one["id"], one["kind"], one["state"], str(one["attempts"])),
                    *(stamp(one["queued_at"]), stamp(one["due_at"]), one["told"] or ""),
                ]
                for one in found
            ],
            expendable=["id", "next (UTC)"],
        )


@webhook.command()
@click.argument("webhook")
@options.as_json
def test(webhook: str, as_json: bool) -> None:
    """
    Send a webhook a test at once; exit status 1 if it does not arrive.

    \b
    Example:
      tuckshop webhook test hok_06f…
    """
    found = Client.connect().post("webhooks", webhook, "test")
    if as_json:
        print_json(found)
    if not found["arrived"]:
        raise RefusedError(found["message"])
    if not as_json:
        note(found["message"])


@webhook.command()
@click.argument("webhook")
@options.as_json
def remove(webhook: str, as_json: bool) -> None:
    """
    Remove a webhook, with what is still on its way to it.

    \b
    Example:
      tuckshop webhook remove hok_06f…
    """
    gone = Client.connect().delete("webhooks", webhook)
    if as_json:
        print_json(gone)
    else:
        note(f"{gone['id']} is removed: {gone['url']} is told nothing more.")


def _state(one: Json) -> str:
    return "failing" if one["state"] == "active" and one["failing_since"] else str(one["state"])


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    facts = [
        ("url", one["url"]),
        ("kinds", "all" if one["kinds"] is None else ", ".join(one["kinds"])),
        ("groups", "all" if one["groups"] is None else ", ".join(one["groups"])),
        ("reach", one["reach"]),
        ("state", _state(one)),
        ("waiting", one["waiting"]),
        ("dead", one["dead"]),
        ("made", f"{when(one['created_at'])} by {one['created_by']}"),
    ]
    if one["failing_since"]:
        facts.append(("failing", f"since {when(one['failing_since'])}: {one['told']}"))
    print_facts(one["id"], facts)
    if "secret" in one:
        click.echo(f"  {'secret':<7}  {clean(one['secret'])}")
        note("The secret is shown only now: the program at the url checks signatures with it.")
