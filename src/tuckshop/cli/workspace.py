"""`tuckshop workspace`: what holds over all groups together."""

from __future__ import annotations

import click

from tuckshop.cli import identity, moderation, options
from tuckshop.cli.client import Client, Json
from tuckshop.cli.output import allowed, listing, print_facts, print_json, print_limits


@click.group()
def workspace() -> None:
    """
    The workspace: limits, models, endpoints and output cap over all groups together.

    Members whose call it refuses are told that a limit of all groups is used up and when it renews, and no amounts.

    \b
    Example:
      tuckshop workspace edit --limits '$500/month' --max-output-tokens 4000
      tuckshop workspace show
    """


@workspace.command()
@options.as_json
def show(as_json: bool) -> None:
    """
    Show what holds over all groups, and what of it is used.

    \b
    Example:
      tuckshop workspace show --json
    """
    _show(Client.connect().get("workspace"), as_json)


@workspace.command()
@options.limit_options(("limits", "of all groups together"))
@options.allow_options
@click.option(
    "--pseudonyms",
    is_flag=True,
    default=None,
    help="Show staff pseudonyms in place of ids, names and addresses, in all groups. Off: workspace unmask.",
)
@moderation.moderation_options
@options.unset_option("limits", "models", "endpoints", "max_output_tokens", "moderation")
@options.empty_option("models", "endpoints")
@options.as_json
def edit(as_json: bool, unset: tuple[str, ...], empty: tuple[str, ...], **fields: object) -> None:
    """
    Change what holds over all groups. What is not named stays; the next call of anybody goes by the change.

    A limit added in mid-month counts what was spent since the month began.

    \b
    Example:
      tuckshop workspace edit --limits '$500/month' --limits '20 concurrent requests'
      tuckshop workspace edit --unset limits
      tuckshop workspace edit --moderation log
    """
    client = Client.connect()
    version: str | None = None

    def checks() -> Json:
        nonlocal version
        now, version = client.get_with_version("workspace")
        return Json(now["moderation"])

    fields = moderation.gathered(fields, checks)
    body = options.change_of(fields, unset=unset, empty=empty)
    _show(client.patch("workspace", body=body, version=version), as_json)


@workspace.command()
@identity.reason_option
@options.as_json
def unmask(reason: str, as_json: bool) -> None:
    """
    End the pseudonyms of all groups together. Groups that have set them themselves keep theirs.

    \b
    Example:
      tuckshop workspace unmask --reason 'the trial is over'
    """
    _show(Client.connect().post("workspace", "unmask", body={"reason": reason}), as_json)


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    cap = one["max_output_tokens"]
    print_facts(
        "All groups together",
        [
            ("limits", listing(one["limits"], none="none", empty="none")),
            ("models", allowed(one["models"])),
            ("endpoints", allowed(one["endpoints"])),
            ("output cap", None if cap is None else f"{cap:,} tokens"),
            *moderation.told(one["moderation"]),
            ("time zone", one["time_zone"]),
            ("pseudonyms", "yes" if one["pseudonyms"] else "no"),
        ],
    )
    print_limits(one["in_force"])
