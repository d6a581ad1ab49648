"""Prices that the operator sets (K20, M9, M11)."""

from __future__ import annotations

from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer
from tuckshop.pricing.prices import PriceList
from tuckshop.services.price_overrides import open_prices

pytestmark = pytest.mark.anyio
PRICES = "/api/v1/prices"
OWN: dict[str, Any] = {
    "upstream": "vllm",
    "model": "llama-3.1-8b",
    "units": {"input": 0.05, "output": 0.1},
    "max_output_tokens": 8_192,
}


async def put(counter: Counter, **said: Any) -> Answer:
    return await counter.admin.send("PUT", PRICES, body={**OWN, **said})


async def shown(counter: Counter, model: str, upstream: str = "vllm") -> dict[str, Any] | None:
    rows = (await counter.admin.get(PRICES)).json["data"]
    found = [row for row in rows if (row["model"], row["upstream"]) == (model, upstream)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
async def vllm(counter: Counter) -> Counter:
    for name, profile in (("vllm", "compatible"), ("openai", "openai")):
        answer = await counter.admin.post("/api/v1/upstreams", {"name": name, "profile": profile})
        assert answer.status == 201, answer.body
    return counter


async def test_a_model_that_the_list_does_not_know_gets_a_price(vllm: Counter) -> None:
    assert await shown(vllm, "llama-3.1-8b") is None

    answer = await put(vllm, effective_from="2026-01-01")

    assert answer.status == 200, answer.body
    row = await shown(vllm, "llama-3.1-8b")
    assert answer.json["data"] == [row]
    assert row is not None
    assert (row["origin"], row["units"], row["next"]) == (
        "override",
        {"input": Decimal("0.05"), "output": Decimal("0.1")},
        None,
    )


async def test_a_known_model_keeps_what_is_not_said_of_it(vllm: Counter) -> None:
    listed = await shown(vllm, "gpt-4o-mini", "openai")
    await put(vllm, upstream="openai", model="gpt-4o-mini", max_output_tokens=100)

    row = await shown(vllm, "gpt-4o-mini", "openai")

    assert listed is not None
    assert row is not None
    assert row["context_tokens"] == listed["context_tokens"]
    assert (row["max_output_tokens"], row["origin"]) == (100, "override")
    assert (await shown(vllm, "gpt-4o-mini-2024-07-18", "openai") or {})["units"] == row["units"]


async def test_a_price_of_next_year_is_shown_and_comes_by_the_clock(vllm: Counter) -> None:
    await put(vllm)
    await put(vllm, units={"input": "0.07", "output": 1}, effective_from="2099-01-01")

    row = await shown(vllm, "llama-3.1-8b")

    assert row is not None
    assert row["units"]["input"] == Decimal("0.05")
    assert row["next"] == {
        "effective_from": "2099-01-01T00:00:00Z",
        "units": {"input": Decimal("0.07"), "output": 1},
        "free": False,
    }
    vllm.clock.advance(80 * 366 * 86_400)
    row = await shown(vllm, "llama-3.1-8b")
    assert row is not None
    assert (row["units"]["input"], row["next"]) == (Decimal("0.07"), None)


async def test_null_takes_it_back(vllm: Counter) -> None:
    await put(vllm)

    assert (await put(vllm, units=None)).status == 200

    assert await shown(vllm, "llama-3.1-8b") is None


async def test_what_was_said_is_read_again_at_the_start_and_audited(vllm: Counter) -> None:
    await put(vllm, units={"input": "0.000000001", "output": "123.456789012"})

    book = await open_prices(vllm.writer, PriceList.load(), vllm.clock)

    price = book.now.find("llama-3.1-8b", "vllm")
    assert price is not None
    assert (price.input, price.output) == (1, 123_456_789_012)  # exact to the nano-dollar
    trail = (await vllm.admin.get("/api/v1/audit", action="price")).json["data"]
    assert trail[0]["after"]["model"] == "llama-3.1-8b"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"units": {"input": 0, "output": 1}}, "units.input"),  # M11: free has to be said
        ({"units": {"input": -1, "output": 1}}, "units.input"),
        ({"units": {"input": "NaN", "output": 1}}, "units.input"),
        ({"units": {"input": "1e999999", "output": 1}}, "units.input"),
        ({"units": {"input": "0.0000000001", "output": 1}}, "units.input"),
        ({"units": {"input": 1}}, "units"),
        ({"units": {"output": 1}}, "units"),
        ({"units": {"tea": 1, "input": 1, "output": 1}}, "units.tea"),
        ({"units": {"input": 1, "output": 1}, "free": True}, "free"),
        ({"max_output_tokens": None}, "max_output_tokens"),
        ({"model": "a b"}, "model"),
        ({"model": ""}, "model"),
        ({"effective_from": "tomorrow"}, "effective_from"),
        ({"effective_from": "0000-01-01"}, "effective_from"),
    ],
)
async def test_what_could_not_be_charged_is_refused(
    vllm: Counter, said: dict[str, Any], field: str
) -> None:
    answer = await put(vllm, **said)

    assert answer.status == 422, answer.body
    assert answer.json["errors"][0]["field"] == field
    assert await shown(vllm, "llama-3.1-8b") is None


async def test_a_cliff_is_not_forgotten_by_leaving_it_out(vllm: Counter) -> None:
    """M9: what is unknown is dear."""
    said = {"upstream": "openai", "model": "gpt-5.5", "units": {"input": 4, "output": 20}}

    refused = await vllm.admin.send("PUT", PRICES, body=said)
    told = await vllm.admin.send("PUT", PRICES, body={**said, "long_context": None})

    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "long_context")
    assert told.status == 200
    assert told.json["data"][0]["long_context"] is None


async def test_free_is_said(vllm: Counter) -> None:
    answer = await put(vllm, units=None, free=True)

    assert answer.status == 200, answer.body
    assert answer.json["data"][0]["free"] is True


async def test_an_upstream_that_is_not_there_has_no_prices(vllm: Counter) -> None:
    assert (await put(vllm, upstream="nobody")).status == 404


def listed() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = msgspec.json.decode(
        resources.files("tuckshop.pricing").joinpath("prices.json").read_bytes()
    )
    return rows


async def refreshed(counter: Counter, rows: list[dict[str, Any]], **said: Any) -> Answer:
    return await counter.admin.post(f"{PRICES}/refresh", {"prices": rows, **said})


async def test_another_list_is_compared_and_put_at_once_or_not_at_all(vllm: Counter) -> None:
    """M11: the operator sees what would be charged less, before it is."""
    rows = [row for row in listed() if row["model"] != "gpt-3.5-turbo-16k"]
    for row in rows:
        if row["model"] == "gpt-4o-mini":
            row["input"] = 100_000_000
        if row["model"] == "gpt-4.1-nano":
            row["output"] = 900_000_000
    rows.append({**rows[0], "model": "gpt-99", "source": "next release"})

    dry = await refreshed(vllm, rows, dry_run=True)
    refused = await refreshed(vllm, rows)

    assert dry.status == 200, dry.body
    found = {one["model"]: one for one in dry.json["data"]}
    assert found["gpt-99"]["action"] == "new"
    assert found["gpt-3.5-turbo-16k"]["action"] == "gone"
    assert (found["gpt-4o-mini"]["action"], found["gpt-4o-mini"]["is_less"]) == ("changed", True)
    assert found["gpt-4o-mini"]["after"]["units"]["input"] == Decimal("0.1")
    assert found["gpt-4o-mini-2024-07-18"]["action"] == "pinned"
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "accept_less")
    assert (await shown(vllm, "gpt-4.1-nano", "openai") or {})["origin"] == "built_in"

    done = await refreshed(vllm, rows, accept_less=True)
    again = await refreshed(vllm, rows)

    assert done.status == 200, done.body
    made = await shown(vllm, "gpt-99", "openai")
    assert made is not None
    assert (made["source"], made["origin"]) == ("next release", "override")
    cheap = await shown(vllm, "gpt-4o-mini", "openai")
    snapshot = await shown(vllm, "gpt-4o-mini-2024-07-18", "openai")
    assert cheap is not None
    assert snapshot is not None
    assert (cheap["units"]["input"], snapshot["units"]["input"]) == (
        Decimal("0.1"),
        Decimal("0.15"),
    )
    assert again.status == 200, again.body
    assert {one["action"] for one in again.json["data"]} == {"gone"}
    trail = (await vllm.admin.get("/api/v1/audit", action="price")).json["data"]
    assert {"gpt-99", "gpt-4o-mini"} <= {one["after"]["model"] for one in trail}


async def test_a_price_set_by_hand_outlasts_another_list(vllm: Counter) -> None:
    """M11."""
    await put(vllm, upstream="openai", model="gpt-4o-mini", max_output_tokens=100)
    rows = [row for row in listed() if row["model"].startswith("gpt-4o-mini")]
    own = await shown(vllm, "gpt-4o-mini", "openai")

    kept = await refreshed(vllm, rows)

    assert kept.status == 200, kept.body
    assert {one["model"] for one in kept.json["data"] if one["action"] == "kept"} == {
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
    }
    assert await shown(vllm, "gpt-4o-mini", "openai") == own
    replaced = await refreshed(
        vllm, rows, replace_own=True, accept_less=True, effective_from="2099-01-01"
    )
    assert replaced.status == 200, replaced.body
    row = await shown(vllm, "gpt-4o-mini", "openai")
    assert row is not None
    assert row["next"]["effective_from"] == "2099-01-01T00:00:00Z"
    assert row["units"]["input"] == Decimal("0.05")


@pytest.mark.parametrize(
    ("changes", "said", "field"),
    [
        ({"input": 0}, {}, "prices[0]"),
        ({"model": "a b"}, {}, "prices[0].model"),
        ({"context_tokens": 10**12}, {}, "prices[0].context_tokens"),
        ({"source": "x" * 201}, {}, "prices[0].source"),
        ({"of_a_later_release": 1}, {}, "prices[0]"),
        ({}, {"upstream": "vllm"}, "upstream"),
        ({}, {"effective_from": "soon"}, "effective_from"),
    ],
)
async def test_a_list_that_could_not_be_charged_by_is_refused_whole(
    vllm: Counter, changes: dict[str, Any], said: dict[str, Any], field: str
) -> None:
    """M9."""
    rows = [{**listed()[0], "model": "gpt-99", **changes}]

    answer = await refreshed(vllm, rows, **said)

    assert answer.status == 422, answer.body
    assert answer.json["errors"][0]["field"].startswith(field)
    assert await shown(vllm, "gpt-99", "openai") is None


async def test_a_list_that_states_a_model_twice_is_refused(vllm: Counter) -> None:
    answer = await refreshed(vllm, [listed()[0]] * 2)

    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "prices")
