"""One server and one made-up upstream for a whole module of tests; groups and keys are made per test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.processes import Mock, Server, start_mock, start_server


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    mock = start_mock(tmp_path_factory.mktemp("upstream"))
    yield mock
    mock.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("server"), mock.url)
    yield server
    assert server.stop() == 0, server.log.read_text()


NewKey = Callable[..., str]


@pytest.fixture
def new_key(server: Server) -> NewKey:
    """Make a group as told and give a key of its only member."""

    def make(
        *, member: dict[str, Any] | None = None, key: dict[str, Any] | None = None, **group: Any
    ) -> str:
        return key_of_new_member(server, next(_NAMES), member=member, key=key, **group)

    return make


_NAMES = (f"group-{n}" for n in itertools.count(1))


def key_of_new_member(
    server: Server,
    name: str,
    *,
    member: dict[str, Any] | None = None,
    key: dict[str, Any] | None = None,
    **group: Any,
) -> str:
    server.made("POST", "/groups", {"name": name, **group})
    made = server.made(
        "POST", f"/groups/{name}/members", {"external_id": f"{name}-1", **(member or {})}
    )
    return str(server.made("POST", f"/members/{made['data'][0]['id']}/keys", key or {})["key"])


_CLIENTS: list[openai.OpenAI] = []


def client_of(server: Server, key: str, **options: Any) -> openai.OpenAI:
    """A client that is closed when the test is over."""
    client = openai.OpenAI(
        api_key=key, base_url=f"{server.url}/v1", **{"max_retries": 0, **options}
    )
    _CLIENTS.append(client)
    return client


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    """What an exception keeps alive would be collected at any time, with its socket still open."""
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
