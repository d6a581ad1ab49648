"""`tuckshop group`: courses, teams, hackathons, and the policy their members share."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import click

from tuckshop.cli import group_export, identity, moderation, options, rules
from tuckshop.cli.body_logging import logging_options, take_logging, told
from tuckshop.cli.client import Client, Json
from tuckshop.cli.output import (
    allowed,
    as_list,
    listing,
    note,
    print_facts,
    print_json,
    print_limits,
    print_table,
)
from tuckshop.domain.wording import counted

_STRIKES: Final = ("count", "days", "pause")
_LISTS: Final = ("models", "endpoints")
_UNSETTABLE: Final = (
    *("title", "time_zone", "models", "endpoints", "each", "shared", "max_output_tokens"),
    *("min_output_tokens", "patience_s", "on_disconnect", "unknown_parameters", "show_shared"),
    *("self_rotate", "carry_over", "log_days", "strikes", "logging", "rules", "moderation"),
    "pseudonyms",
)


def _strikes(
    context: click.Context, option: click.Parameter, value: tuple[int, int, str] | None
) -> Json | None:
    return None if value is None else dict(zip(_STRIKES, value, strict=True))


def policy_options(command: options.Command) -> options.Command:
    """The fields of a group's policy."""
    chosen: tuple[options.Decorator, ...] = (
        logging_options,
        rules.rules_options,
        moderation.moderation_options,
        click.option(
            "--strikes",
            type=(
                click.IntRange(1, 1_000),
                click.IntRange(1, 366),
                click.Choice(["member", "key", "none"]),
            ),
            metavar="COUNT DAYS PAUSE",
            callback=_strikes,
            help="So many flagged contents of one member in so many days pause the member, the key or none:"
            " 3 30 member.",
        ),
        click.option(
            "--self-rotate/--no-self-rotate",
            default=None,
            help="May holders give their own keys a new secret?",
        ),
        click.option(
            "--pseudonyms",
            is_flag=True,
            default=None,
            help="Show staff pseudonyms in place of ids, names and addresses. Off again: group unmask.",
        ),
        click.option(
            "--log-days",
            type=click.IntRange(70, 3660),
            help="After so many days the rows of the request log become sums. Cannot be taken back.",
        ),
        click.option(
            "--show-shared/--no-show-shared",
            default=None,
            help="May members see the amounts of shared limits?",
        ),
        click.option(
            "--unknown-parameters",
            type=click.Choice(["refuse", "pass"]),
            help="What becomes of parameters that tuckshop does not know.",
        ),
        click.option(
            "--on-disconnect",
            type=click.Choice(["drain", "cancel"]),
            help="When a client leaves: read the answer to its end, or break it off.",
        ),
        click.option(
            "--patience-s",
            type=click.IntRange(0),
            help="How long a call waits for amounts that are only held.",
        ),
        click.option(
            "--min-output-tokens",
            type=click.IntRange(1),
            help="A call whose answer could not be this long is refused.",
        ),
        options.allow_options,
        options.limit_options(("each", "of each member"), ("shared", "of all members together")),
        click.option(
            "--carry-over",
            metavar="AMOUNT",
            help="How much of a member's money a window may leave to the next, such as '$0.50'.",
        ),
        click.option("--time-zone", metavar="ZONE", help="Such as Europe/Berlin."),
        click.option("--title", help="What the group is called in public."),
    )
    for option in chosen:
        command = option(command)
    return command


@click.group()
def group() -> None:
    """
    Groups: courses, teams, hackathons, and the policy their members share.

    \b
    Example:
      tuckshop group create swa --each '$0.20/month' --shared '$50/month' --models gpt-4o-mini
      tuckshop group edit swa --models gpt-4o-mini --models 'text-embedding-*'
    """


@group.command()
@click.argument("name")
@policy_options
@options.empty_option(*_LISTS)
@options.as_json
def create(name: str, as_json: bool, empty: tuple[str, ...], **fields: Any) -> None:
    """
    Make the group NAME.

    \b
    Example:
      tuckshop group create swa --title 'Software architecture' --time-zone Europe/Berlin \\
        --each '$0.20/month' --each '35 requests/minute on gpt-4o-mini' --shared '$50/month' \\
        --models gpt-4o-mini --models 'text-embedding-*'
    """
    fields = rules.gathered(fields, dict)
    logging = take_logging(fields) or None
    fields = moderation.gathered(fields, dict)
    body = options.body_of({"name": name, **fields, "logging": logging}, empty=empty)
    made = Client.connect().make("groups", body=body)
    _show(made, as_json)
    if not as_json:
        note(f"Next: tuckshop member import roster.csv --group {name} --dry-run")


group.add_command(group_export.export)


@group.command("list")
@options.state_option()
@options.as_json
def list_(state: str | None, as_json: bool) -> None:
    """
    List groups, oldest first.

    \b
    Example:
      tuckshop group list --state all --json
    """
    found = list(Client.connect().rows("groups", state=state))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note(
            "There are no active groups; --state all lists the others."
            " Next: tuckshop group create swa --each '$0.20/month'"
        )
    else:
        print_table(
            ["name", "title", "state", "each", "shared"],
            [
                [
                    *(one["name"], one["title"], one["state"]),
                    *("; ".join(one["each"]), "; ".join(one["shared"])),
                ]
                for one in found
            ],
        )


@group.command()
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """
    Show the group NAME (a name or an id), with what is left of its shared limits.

    \b
    Example:
      tuckshop group show swa
    """
    _show(Client.connect().get("groups", name), as_json)


@group.command()
@click.argument("name")
@click.option("--name", "new_name", help="A new name.")
@policy_options
@options.unset_option(*_UNSETTABLE)
@options.empty_option(*_LISTS)
@options.as_json
def edit(
    name: str,
    new_name: str | None,
    as_json: bool,
    unset: tuple[str, ...],
    empty: tuple[str, ...],
    **fields: Any,
) -> None:
    """
    Change the group NAME. What is not named stays; a list is replaced as a whole.

    \b
    Example:
      tuckshop group edit swa --each '$0.50/month' --unset max_output_tokens
      tuckshop group edit swa --rules-hours 'Mon-Fri 08:00-18:00' --rules-pii email=redact
      tuckshop group edit swa --moderation block --moderation-threshold violence=0.8
    """
    client = Client.connect()
    read = cache(lambda: client.get_with_version("groups", name))  # not before all is said well
    fields = rules.gathered(fields, lambda: read()[0]["rules"] or {})
    logging = take_logging(fields) or None
    fields = moderation.gathered(fields, lambda: Json(read()[0]["moderation"]))
    change = {"name": new_name, **fields, "logging": logging}
    body = options.change_of(change, unset=unset, empty=empty)
    if logging is not None:  # the field is one: what is not named of it stays, too
        body["logging"] = {**read()[0]["logging"], **logging}
    _show(client.change("groups", name, body=body, version=read()[1]), as_json)


@group.command()
@click.argument("name")
@options.as_json
def pause(name: str, as_json: bool) -> None:
    """
    Refuse calls of the group NAME, and cut off its running streams.

    \b
    Example:
      tuckshop group pause swa
    """
    _show(Client.connect().post("groups", name, "pause"), as_json)


@group.command()
@click.argument("name")
@options.as_json
def resume(name: str, as_json: bool) -> None:
    """
    Let the group NAME call again, paused or archived.

    \b
    Example:
      tuckshop group resume swa
    """
    _show(Client.connect().post("groups", name, "resume"), as_json)


@group.command()
@click.argument("name")
@click.option(
    "--what",
    type=click.Choice(["each", "shared", "all"]),
    default="all",
    show_default=True,
    help="Of each member, of what they share, or both.",
)
@click.option("--total", is_flag=True, help="Limits without a window (total) too.")
@options.as_json
def reset(name: str, what: str, total: bool, as_json: bool) -> None:
    """
    Start the running windows of the group NAME afresh, at what open calls hold.

    \b
    Example:
      tuckshop group reset swa --what each
    """
    query = {"total": True} if total else {}
    _show(Client.connect().post("groups", name, "reset", body={"what": what}, **query), as_json)


@group.command()
@click.argument("name")
@identity.reason_option
@options.as_json
def unmask(name: str, reason: str, as_json: bool) -> None:
    """
    Show staff again who the members of the group NAME are, in place of pseudonyms.

    An owner of the group may, and the operator. The audit trail keeps who did, when, and why.

    \b
    Example:
      tuckshop group unmask swa --reason 'marks are given, and the examination office asks by name'
    """
    _show(Client.connect().post("groups", name, "unmask", body={"reason": reason}), as_json)


@group.command()
@click.argument("name")
@options.as_json
def archive(name: str, as_json: bool) -> None:
    """
    Hide the group NAME and refuse its calls. Records stay, and `resume` brings it back.

    \b
    Example:
      tuckshop group archive swa
    """
    _show(Client.connect().delete("groups", name), as_json)


def _show(one: Json, as_json: bool) -> None:
    if not one["worst_case"]["bounds"]:
        note(f"{one['worst_case']['sentence']}.")
        note(f"Mend it: tuckshop group edit {one['name']} --each '$0.20/month'")
    if as_json:
        print_json(one)
        return
    print_facts(
        f"{one['name']}  {one['title']}".rstrip(),
        [
            ("id", one["id"]),
            ("state", one["state"]),
            ("time zone", one["time_zone"]),
            ("models", allowed(one["models"])),
            ("endpoints", allowed(one["endpoints"])),
            ("each member", listing(one["each"], none="", empty="no limits")),
            ("all together", listing(one["shared"], none="", empty="no limits")),
            ("at worst", one["worst_case"]["sentence"]),
            ("longest answer", _tokens(one["max_output_tokens"])),
            ("least answer", _tokens(one["min_output_tokens"])),
            ("carries over", one["carry_over"]),
            ("patience", f"{one['patience_s']} s"),
            ("on disconnect", one["on_disconnect"]),
            ("unknown parameters", one["unknown_parameters"]),
            ("shows shared", "yes" if one["show_shared"] else "no"),
            ("self rotate", "yes" if one["self_rotate"] else "no"),
            ("strikes", _said_strikes(one["strikes"])),
            *moderation.told(one["moderation"]),
            ("log", f"{one['log_days']} days"),
            ("prompts and answers", told(one["logging"])),
            *rules.told(one["rules"]),
            ("pseudonyms", "yes" if one["pseudonyms"] else "no"),
        ],
    )
    if one.get("in_force"):
        print_limits(one["in_force"])


def _tokens(count: int | None) -> str | None:
    return None if count is None else counted(count, "token")


def _said_strikes(strikes: Json | None) -> str | None:
    if strikes is None:
        return None
    what = "staff are told" if strikes["pause"] == "none" else f"the {strikes['pause']} is paused"
    return f"{strikes['count']} in {strikes['days']} days: {what}"
