"""What becomes of keys, one or many: `tuckshop key pause|resume|reset|rotate|revoke|archive`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from tuckshop.cli import bulk, options
from tuckshop.cli.bulk import Chosen
from tuckshop.cli.client import Client, Json
from tuckshop.cli.key_output import hand_out, key_id, show_key
from tuckshop.cli.naming import member_id, member_names
from tuckshop.cli.output import clean, note, print_table
from tuckshop.cli.private_file import create_private, write_rows
from tuckshop.domain.wording import said_to_be

_keys = click.argument("keys", metavar="[KEY]...", nargs=-1)


@click.command()
@_keys
@bulk.key_filter
@options.as_json
def pause(keys: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Refuse calls with a KEY, or with all that the options find, and cut off running streams.

    \b
    Example:
      tuckshop key pause key_06f…
      tuckshop key pause --group swa --tag ci --dry-run
    """
    _do("pause", keys, told, as_json)


@click.command()
@_keys
@bulk.key_filter
@options.as_json
def resume(keys: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Let a KEY, or all that the options find, call again.

    \b
    Example:
      tuckshop key resume key_06f…
      tuckshop key resume --group swa --state paused
    """
    _do("resume", keys, told, as_json)


@click.command()
@_keys
@click.option("--total", is_flag=True, help="Limits without a window (total) too.")
@bulk.key_filter
@options.as_json
def reset(keys: tuple[str, ...], total: bool, as_json: bool, **told: object) -> None:
    """
    Start the running windows of a KEY's own limits afresh, at what open calls hold; or of all that the options find.

    \b
    Example:
      tuckshop key reset key_06f…
      tuckshop key reset --member swa/4711
    """
    _do("reset", keys, told, as_json, total=total)


@click.command()
@_keys
@bulk.key_filter
@options.as_json
def revoke(keys: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    End a KEY, or all that the options find, for good, and cut off running streams.

    \b
    Example:
      tuckshop key revoke key_06f…
      tuckshop key revoke --group swa --last-used-before 2026-10-01
    """
    _do("revoke", keys, told, as_json, is_final=True)


@click.command()
@_keys
@bulk.key_filter
@options.as_json
def archive(keys: tuple[str, ...], as_json: bool, **told: object) -> None:
    """
    Hide a KEY, or all that the options find, for good; records stay.

    \b
    Example:
      tuckshop key archive key_06f…
      tuckshop key archive --group swa --state revoked
    """
    _do("archive", keys, told, as_json, is_final=True)


@click.command()
@_keys
@click.option("--overlap", metavar="TIME", help="How long the old secret still opens, such as 24h.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the secrets of many go, as CSV: a new file, readable by you alone.",
)
@bulk.key_filter
@options.as_json
def rotate(
    keys: tuple[str, ...], overlap: str | None, out: Path | None, as_json: bool, **told: object
) -> None:
    """
    Give a KEY, or all that the options find, a new secret, shown only now. Limits, state and expiry carry over.

    \b
    Example:
      tuckshop key rotate key_06f… --overlap 24h
      tuckshop key rotate --group swa --out keys.csv
    """
    chosen = Chosen("keys", keys, told)
    if chosen.single is not None and out is None:
        client = Client.connect()
        body = {} if overlap is None else {"overlap": overlap}
        made = client.post("keys", key_id(chosen.single), "rotate", body=body)
        hand_out(client, made, as_json, made["member"])
        return
    client, ids = _connected(chosen)
    file = None if out is None or chosen.dry_run else create_private(out)
    rows: list[Json] = []
    try:
        for row in bulk.carry_out(
            client, chosen, "rotate", ids=ids, is_final=overlap is None, overlap=overlap
        ):
            rows.append(row)
    finally:  # also if it broke off: what was rotated opens by its new secret alone
        issued = [row for row in rows if "key" in row]
        if file is not None and out is not None:
            if issued:
                write_rows(file, out, _slips(client, issued))
            else:
                file.close()
                out.unlink()
        elif issued and not as_json:
            _print_issued(client, issued)
    bulk.tell(client, chosen, "rotate", rows, as_json=as_json)
    if out is not None and issued:
        note(f"{said_to_be(len(issued), 'key')} in {clean(out)}, which only you can read.")


VERBS: Final = (pause, resume, reset, rotate, revoke, archive)


def _do(
    action: str,
    keys: Sequence[str],
    told: dict[str, object],
    as_json: bool,
    *,
    is_final: bool = False,
    total: bool = False,
) -> None:
    chosen = Chosen("keys", keys, told)
    if chosen.single is not None:
        query = {"total": True} if total else {}
        show_key(Client.connect().post("keys", key_id(chosen.single), action, **query), as_json)
        return
    client, ids = _connected(chosen)
    rows = list(bulk.carry_out(client, chosen, action, ids=ids, is_final=is_final, total=total))
    bulk.tell(client, chosen, action, rows, as_json=as_json)


def _connected(chosen: Chosen) -> tuple[Client, list[str]]:
    """The server, the ids of what was named, and the member of the filter by its id."""
    ids = [key_id(name) for name in chosen.names]
    client = Client.connect()
    if "member" in chosen.filter:
        chosen.filter["member"] = member_id(client, chosen.filter["member"])
    return client, ids


def _slips(client: Client, issued: Sequence[Json]) -> list[list[Any]]:
    names = member_names(client, {row["member"] for row in issued})
    address = "" if client.calls_url is None else f"{client.calls_url.rstrip('/')}/v1"
    return [
        ["member", "id", "key", "base_url"],
        *(
            [names.get(row["member"], row["member"]), row["id"], row["key"], address]
            for row in issued
        ),
    ]


def _print_issued(client: Client, issued: Sequence[Json]) -> None:
    names = member_names(client, {row["member"] for row in issued})
    print_table(
        ["member", "id", "key"],
        [[names.get(row["member"], row["member"]), row["id"], row["key"]] for row in issued],
        whole=frozenset({"key"}),
    )
    note("Keys are shown only now: tuckshop keeps no copy.")
