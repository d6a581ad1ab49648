"""A model of one's own server: refused until somebody says what it costs, charged by that, exactly (M9, M11)."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from tests.acceptance.conftest import client_of, key_of_new_member
from tests.support.processes import CREDENTIAL, Server, start_mock, start_server

MODEL = "gpt-4o-mini"


def say(server: Server, **said: object) -> None:
    status, answer = server.admin("PUT", "/prices", said)
    assert status == 200, answer


def ask(client: openai.OpenAI, model: str, text: str = "hello [[tokens:10]]") -> None:
    client.chat.completions.create(
        model=model, max_tokens=50, messages=[{"role": "user", "content": text}]
    )


def cost_of_newest(server: Server) -> tuple[Decimal, int, int]:
    row = server.made("GET", "/requests?limit=1")["data"][0]
    return Decimal(str(row["cost_usd"])), row["input_tokens"], row["output_tokens"]


def at(units: tuple[str, str], tokens: tuple[int, int]) -> Decimal:
    exact = sum(Decimal(u) * t for u, t in zip(units, tokens, strict=True)) / 10**6
    nano = -(-int(exact * 10**18) // 10**9)
    return Decimal(nano) / 10**9


def test_a_price_is_needed_holds_from_the_next_call_on_and_is_pinned(tmp_path: Path) -> None:
    mock = start_mock(tmp_path / "mock")
    server: Server | None = None
    try:
        server = start_server(tmp_path / "server", mock.url)
        server.made(
            "POST",
            "/upstreams",
            {
                "name": "own",
                "profile": "compatible",
                "base_url": mock.url,
                "credential": CREDENTIAL,
                "models": ["mock-plain"],
            },
        )
        client = client_of(server, key_of_new_member(server, "g", each=["$5 total"]), max_retries=0)

        with pytest.raises(openai.PermissionDeniedError) as refused:
            ask(client, "mock-plain")
        assert refused.value.code == "model_not_priced"

        # The list's model, at a price of one's own: the reply names its snapshot, and the price stands all the same.
        say(server, upstream="openai", model=MODEL, units={"input": 7, "output": 9})
        ask(client, MODEL)
        cost, *tokens = cost_of_newest(server)
        assert cost == at(("7", "9"), (tokens[0], tokens[1]))

        # A call under way is settled by the price it was admitted with.
        slow = threading.Thread(target=ask, args=(client, MODEL, "hi [[tokens:20]] [[speed:15]]"))
        slow.start()
        while not mock.state()["open"]:
            pass
        say(server, upstream="openai", model=MODEL, units={"input": 1_000, "output": 1_000})
        slow.join()
        cost, *tokens = cost_of_newest(server)
        assert cost == at(("7", "9"), (tokens[0], tokens[1]))
        ask(client, MODEL)
        cost, *tokens = cost_of_newest(server)
        assert cost == at(("1000", "1000"), (tokens[0], tokens[1]))

        say(
            server,
            upstream="own",
            model="mock-plain",
            units={"input": 1, "output": 1},
            max_output_tokens=4096,
        )
        assert "mock-plain" in {model.id for model in client.models.list().data}
        ask(client, "mock-plain")
        row = server.made("GET", "/requests?limit=1")["data"][0]
        assert (row["upstream"], row["http_status"], row["flags"]) == ("own", 200, [])
        assert Decimal(str(row["cost_usd"])) == at(
            ("1", "1"), (row["input_tokens"], row["output_tokens"])
        )
    finally:
        if server is not None:
            server.stop()
        mock.stop()
