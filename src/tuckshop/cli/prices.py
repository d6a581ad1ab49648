"""`tuckshop prices`: what models cost, and what they cost from some time on."""

from __future__ import annotations

from typing import Final

import click

from tuckshop.cli import options, price_refresh
from tuckshop.cli.client import Client, Json
from tuckshop.cli.output import as_list, note, print_json, print_table, usd, when

_RATES: Final = ("input", "cached_input", "cache_write", "cache_write_12h", "output")


@click.group()
def prices() -> None:
    """
    What models cost: list, set, unset, refresh.

    \b
    Example:
      tuckshop prices list --model gpt-4o-mini
      tuckshop prices set vllm llama-3.1-8b --input 0.05 --output 0.10 --max-output-tokens 8192
    """


@prices.command("list")
@click.option("--model", metavar="MODEL", help="Only of this model.")
@click.option("--set-here", is_flag=True, help="Only what does not come with tuckshop.")
@options.as_json
def list_(model: str | None, set_here: bool, as_json: bool) -> None:
    """
    Show the prices in force, in USD per 1,000,000 tokens, and what is known to come.

    \b
    Example:
      tuckshop prices list --set-here
    """
    found: list[Json] = Client.connect().get("prices")["data"]
    rows = [
        row
        for row in found
        if model in (None, row["model"])
        and (not set_here or row["origin"] != "built_in" or row["next"] is not None)
    ]
    _show(rows, as_json)


@prices.command("set")
@click.argument("upstream")
@click.argument("model")
@click.option("--input", "input_", metavar="USD", help="Per 1,000,000 tokens of input.")
@click.option("--cached-input", metavar="USD", help="The same, read from a cache.")
@click.option("--cache-write", metavar="USD", help="The same, written to a cache.")
@click.option("--output", metavar="USD", help="Per 1,000,000 tokens of output.")
@click.option("--free", is_flag=True, help="It costs nothing. 0 is not taken for free.")
@click.option(
    "--from", "since", metavar="TIME", help="From then on: a day, or a time with its zone."
)
@click.option(
    "--family",
    type=click.Choice(["chat", "responses", "completion", "embedding", "moderation"]),
    help="What the model does; chat unless the price list knows it.",
)
@click.option("--context-tokens", type=click.IntRange(1), help="The most it takes in.")
@click.option("--max-output-tokens", type=click.IntRange(1), help="The most of one answer.")
@click.option("--reasons/--plain", default=None, help="Whether it thinks before it answers.")
@click.option(
    "--no-long-context",
    is_flag=True,
    help="Long calls cost no more per token, although the price list says so.",
)
@options.as_json
def set_(
    upstream: str,
    model: str,
    input_: str | None,
    cached_input: str | None,
    cache_write: str | None,
    output: str | None,
    free: bool,
    since: str | None,
    no_long_context: bool,
    as_json: bool,
    **known: object,
) -> None:
    """
    Say what MODEL costs at UPSTREAM, from now or from some time on. Calls under way keep their price.

    It covers the dated snapshots of the model too, where the price list names them.

    \b
    Example:
      tuckshop prices set openai gpt-4o-mini --input 0.15 --output 0.60 --from 2027-01-01
      tuckshop prices set vllm llama-3.1-8b --input 0.05 --output 0.10 --max-output-tokens 8192
      tuckshop prices set ollama qwen3 --free --max-output-tokens 4096
    """
    stated = {
        "input": input_,
        "cached_input": cached_input,
        "cache_write": cache_write,
        "output": output,
    }
    units = {unit: value for unit, value in stated.items() if value is not None}
    if free == bool(units):
        raise click.UsageError("Say what it costs (--input, --output), or --free.")
    body: Json = {"upstream": upstream, "model": model, **options.body_of(known)}
    body |= {"free": True} if free else {"units": units}
    if since is not None:
        body["effective_from"] = since
    if no_long_context:
        body["long_context"] = None
    _show(Client.connect().put("prices", body=body)["data"], as_json)


@prices.command()
@click.argument("upstream")
@click.argument("model")
@click.option(
    "--from", "since", metavar="TIME", help="From then on: a day, or a time with its zone."
)
@options.as_json
def unset(upstream: str, model: str, since: str | None, as_json: bool) -> None:
    """
    Take back what was said of MODEL at UPSTREAM: the price that comes with tuckshop, or none.

    \b
    Example:
      tuckshop prices unset openai gpt-4o-mini
    """
    body: Json = {"upstream": upstream, "model": model, "units": None}
    if since is not None:
        body["effective_from"] = since
    _show(Client.connect().put("prices", body=body)["data"], as_json)


prices.add_command(price_refresh.refresh)


def _show(rows: list[Json], as_json: bool) -> None:
    if as_json:
        print_json(as_list(rows))
        return
    if not rows:
        note("No price is known for that.")
        return
    print_table(
        ["upstream", "model", "input", "cached", "output", "since", "next"],
        [_line(row) for row in rows],
        right=frozenset({"input", "cached", "output"}),
        expendable=("cached", "since"),
    )


def _line(row: Json) -> list[str]:
    units = row["units"]
    costs = (
        ["free"] * 3
        if row["free"]
        else [
            usd(units[unit]) if unit in units else ""
            for unit in ("input", "cached_input", "output")
        ]
    )
    if row["origin"] is None:
        costs = ["none yet", "", ""]
    since = "built in" if row["origin"] == "built_in" else when(row["effective_from"])
    return [
        row["upstream"],
        row["model"],
        *costs,
        since if row["origin"] else "",
        _next(row["next"]),
    ]


def _next(coming: Json | None) -> str:
    if coming is None:
        return ""
    if coming["free"]:
        told = "free"
    elif coming["units"] is None:
        told = "as built in"
    else:
        told = " / ".join(usd(coming["units"][u]) for u in _RATES if u in coming["units"])
    return f"{told} from {when(coming['effective_from'])}"
