"""`tuckshop member`: the people of a group."""

from __future__ import annotations

from typing import Final

import click

from tuckshop.cli import bulk, grant, identity, options, roster
from tuckshop.cli.bulk import Chosen
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.naming import member_id
from tuckshop.cli.output import (
    allowed,
    as_list,
    clean,
    listing,
    note,
    print_facts,
    print_json,
    print_keys,
    print_limits,
    print_table,
    usd,
)

_LISTS: Final = ("models", "endpoints")
_UNSETTABLE: Final = ("name", "email", "limits", "models", "endpoints", "max_output_tokens")
_ROWS_PER_CALL: Final = 500


_members = click.argument("members", metavar="[MEMBER]...", nargs=-1)


@click.group()
def member() -> None:
    """
    Members: the people of a group.

    A MEMBER is named by id (mem_…) or as GROUP/EXTERNAL_ID (swa/4711).

    \b
    Example:
      tuckshop member create 4711 4712 4713 --group swa --issue-keys
      tuckshop member show swa/4711
    """


@member.command()
@click.argument("external_id", nargs=-1, required=True)
@click.option("--group", required=True, metavar="GROUP", help="Name or id of the group.")
@click.option("--name", help="Of one member.")
@click.option("--email", help="Of one member.")
@options.limit_options(("limits", "of its own, in place of the group's of the same kind"))
@options.allow_options
@options.empty_option(*_LISTS)
@click.option(
    "--issue-keys", is_flag=True, help="Give each that has no active key one, shown only now."
)
@options.as_json
def create(
    external_id: tuple[str, ...],
    group: str,
    issue_keys: bool,
    as_json: bool,
    empty: tuple[str, ...],
    **fields: object,
) -> None:
    """
    Add members by EXTERNAL_ID: matriculation number, LMS id, e-mail. Those who are there are changed.

    \b
    Example:
      tuckshop member create 4711 --group swa --name 'Ada Lovelace' --limits '$2/month'
      tuckshop member create 4711 4712 4713 --group swa --issue-keys > keys.txt
    """
    if len(external_id) > 1 and (fields["name"] or fields["email"]):
        raise click.UsageError("--name and --email are of one member: add them one by one.")
    body = options.body_of(fields, empty=empty)
    rows = [{"external_id": one, **body} for one in external_id]
    client = Client.connect()
    query = {"issue_keys": True} if issue_keys else {}
    made: list[Json] = []
    errors: list[Json] = []
    unnamed = 0  # who went into a group that hides who its members are
    for start in range(0, len(rows), _ROWS_PER_CALL):
        sent = rows[start : start + _ROWS_PER_CALL]
        answer = client.make("groups", group, "members", body=sent, **query)
        made += answer["data"]
        unnamed += answer.get("count", 0)
        errors += [{**error, "line": error["line"] + start} for error in answer["errors"]]
    if as_json:
        print_json({"data": made, "errors": errors})
    elif made:
        _print_made(made, issue_keys)
    elif unnamed:
        are_in = "1 member is in" if unnamed == 1 else f"{unnamed} members are in"
        click.echo(f"{are_in}. The group shows pseudonyms: nobody is named here.")
    if errors:
        raise RefusedError("\n".join(_failed_row(external_id, error) for error in errors))


member.add_command(roster.import_)
member.add_command(grant.grant)
member.add_command(grant.grants)
member.add_command(identity.identity)


@member.command("list")
@click.option("--group", metavar="GROUP", help="Only of this group.")
@click.option("--external-id", help="Only who has this external id.")
@click.option("--email", help="Only who has this e-mail address.")
@click.option("--q", metavar="TEXT", help="Only whose external id, name or e-mail holds this.")
@options.state_option()
@options.as_json
def list_(
    group: str | None,
    external_id: str | None,
    email: str | None,
    q: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """
    List members, oldest first, with the money limit that is nearest to its end.

    \b
    Example:
      tuckshop member list --group swa
    """
    client = Client.connect()
    path = ("groups", group, "members") if group else ("members",)
    found = list(client.rows(*path, external_id=external_id, email=email, q=q, state=state))
    if as_json:
        print_json(as_list(found))
    elif not found:
        note("There are no such members.")
    else:
        names = {one["id"]: one["name"] for one in client.rows("groups", state="all")}
        print_table(
            ["group", "external id", "name", "state", "used", "of", "id"],
            [
                [
                    *(names.get(one["group"], one["group"]), one["external_id"], one["name"]),
                    *(one["state"], *_money(one), one["id"]),
                ]
                for one in found
            ],
            right=frozenset({"used", "of"}),
            expendable=["id", "state"],
        )


@member.command()
@click.argument("member", metavar="MEMBER")
@options.as_json
def show(member: str, as_json: bool) -> None:
    """
    Show a MEMBER, with what is used, held and left of every limit.

    \b
    Example:
      tuckshop member show swa/4711
    """
    client = Client.connect()
    _show(client.get("members", member_id(client, member)), as_json)


@member.command()
@click.argument("member", metavar="MEMBER")
@click.option("--external-id", help="A new external id.")
@click.option("--name")
@click.option("--email")
@options.limit_options(("limits", "of its own, in place of the group's of the same kind"))
@options.allow_options
@options.unset_option(*_UNSETTABLE)
@options.empty_option(*_LISTS)
@options.as_json
def edit(
    member: str, as_json: bool, unset: tuple[str, ...], empty: tuple[str, ...], **fields: object
) -> None:
    """
    Change a MEMBER. What is not named stays; a list is replaced as a whole.

    \b
    Example:
      tuckshop member edit swa/4711 --limits '$2/month'
    """
    body = options.change_of(fields, unset=unset, empty=empty)
    client = Client.connect()
    id_ = member_id(client, member)
    _, version = client.get_with_version("members", id_)
    _show(client.change("members", id_, body=body, version=version), as_json)


@member.command()
@_members
@bulk.member_filter
@options.as_json
def pause(members: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Refuse calls of a MEMBER, and cut off running streams.

    \b
    Example:
      tuckshop member pause swa/4711
      tuckshop member pause --group swa --dry-run
    """
    _do("pause", members, told, as_json)


@member.command()
@_members
@bulk.member_filter
@options.as_json
def resume(members: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Let a MEMBER call again, paused or archived.

    \b
    Example:
      tuckshop member resume swa/4711
      tuckshop member resume --group swa --dry-run
    """
    _do("resume", members, told, as_json)


@member.command()
@_members
@click.option("--total", is_flag=True, help="Limits without a window (total) too.")
@bulk.member_filter
@options.as_json
def reset(members: tuple[str, ...], total: bool, as_json: bool, **told: object) -> None:
    """
    Start the running windows of a MEMBER afresh, at what open calls hold.

    \b
    Example:
      tuckshop member reset swa/4711
    """
    _do("reset", members, told, as_json, total=total)


@member.command()
@_members
@bulk.member_filter
@options.as_json
def archive(members: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Hide a MEMBER and refuse their calls. Records stay, and `resume` brings them back.

    \b
    Example:
      tuckshop member archive swa/4711
      tuckshop member archive --group swa --dry-run
    """
    _do("archive", members, told, as_json)


def _do(
    action: str,
    names: tuple[str, ...],
    told: dict[str, object],
    as_json: bool,
    *,
    total: bool = False,
) -> None:
    chosen = Chosen("members", names, told)
    client = Client.connect()
    ids = [member_id(client, name) for name in names]
    if chosen.single is None:
        rows = list(bulk.carry_out(client, chosen, action, ids=ids, total=total))
        bulk.tell(client, chosen, action, rows, as_json=as_json)
    elif action == "archive":
        _show(client.delete("members", *ids), as_json)
    else:
        query = {"total": True} if total else {}
        _show(client.post("members", *ids, action, **query), as_json)


def _print_made(made: list[Json], with_keys: bool) -> None:
    if with_keys:
        print_keys(made)
    elif len(made) == 1:
        _show(made[0], False)
    else:
        print_table(["external id", "id"], [[one["external_id"], one["id"]] for one in made])


def _failed_row(external_ids: tuple[str, ...], error: Json) -> str:
    line = int(error["line"])
    which = external_ids[line - 1] if 0 < line <= len(external_ids) else f"row {line}"
    field = f"{error['field']}: " if error.get("field") else ""
    return clean(f"{which}: {field}{error['message']}")


def _money(one: Json) -> tuple[str, str]:
    """Used and amount of the member's own money limit of which the least is left."""
    own = [
        standing
        for standing in one["in_force"]
        if standing["scope"] == "member" and str(standing["limit"]).startswith("$")
    ]
    if not own:
        return "", ""
    tightest = min(own, key=lambda standing: standing["remaining"])
    more = f" + {usd(tightest['lifted'])}" if "lifted" in tightest else ""
    return usd(tightest["used"]), f"{tightest['limit']}{more}"


def _show(one: Json, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        f"{one['external_id']}  {one['name'] or ''}".rstrip(),
        [
            ("id", one["id"]),
            ("group", one["group"]),
            ("state", one["state"]),
            ("e-mail", one["email"]),
            ("own limits", listing(one["limits"], none="", empty="none")),
            ("models", allowed(one["models"])),
            ("endpoints", allowed(one["endpoints"])),
            ("longest answer", one["max_output_tokens"]),
        ],
    )
    print_limits(one["in_force"])
