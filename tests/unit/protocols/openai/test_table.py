"""Routing: exact, by the raw path, with a reason for what is not served (E3, K8)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundRefusalError,
    RefusalError,
)
from tuckshop.protocols.openai.table import BASE, ENDPOINTS, model_in, route

OFFICIAL = (Path(__file__).parents[3] / "data" / "openai_paths.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/chat/completions", "chat.completions"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/v1/moderations", "moderations"),
        ("GET", "/v1/models", "models.list"),
        ("GET", "/v1/models/gpt-4o-mini", "models.get"),
        ("GET", "/v1/models/openai/gpt-4o-mini", "models.get"),
        ("GET", "/v1/models/ft:gpt-4o-mini:x::1", "models.get"),
    ],
)
def test_served_paths_find_their_row(method: str, path: str, name: str) -> None:
    assert route(method, path).name == name


def test_the_model_of_a_path_is_what_stands_behind_models() -> None:
    assert model_in("/v1/models/openai/gpt-4o-mini") == "openai/gpt-4o-mini"


@pytest.mark.parametrize("line", OFFICIAL)
def test_every_official_operation_is_served_or_refused_with_a_reason(line: str) -> None:
    method, template = line.split()
    path = BASE + template.replace("{", "").replace("}", "")

    served = f"{method} {template}" in {f"{row.method} {row.path}" for row in ENDPOINTS}

    if served:
        assert route(method, path).path == template
    else:
        with pytest.raises(NotFoundRefusalError) as caught:
            route(method, path)
        assert caught.value.reason


def test_the_official_list_holds_every_row_that_is_served() -> None:
    assert {f"{row.method} {row.path}" for row in ENDPOINTS} <= set(OFFICIAL)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat%2Fcompletions", "/v1//chat/completions", "/v1/./chat/completions", "/v1/chat/../embeddings",
        "/v1/models/..", "/v1/models/a/../b", "/v1/chat\\completions", "//v1/embeddings", "/v1/models/%2e",
    ],
)  # fmt: skip
def test_a_path_that_can_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequestError):
        route("POST", path)


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/", "/v1/Chat/Completions",
        "/V1/chat/completions", "/v1/v1/v1/chat/completions",
    ],
)  # fmt: skip
def test_a_path_that_is_nearly_right_names_the_right_one(path: str) -> None:
    with pytest.raises(NotFoundRefusalError) as caught:
        route("POST", path)

    assert caught.value.meant == "/v1/chat/completions"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/", "/v1/nothing", "/v1/chat", "/v1x/embeddings"])
def test_an_unknown_path_means_nothing(path: str) -> None:
    with pytest.raises(NotFoundRefusalError) as caught:
        route("POST", path)

    assert caught.value.meant is None


@pytest.mark.parametrize("path", ["/v1/models/a b", "/v1/models/a?b", "/v1/models/" + "a" * 129])
def test_a_model_that_no_id_could_be_is_not_found(path: str) -> None:
    with pytest.raises(NotFoundRefusalError):
        route("GET", path)


def test_another_method_names_those_there_are() -> None:
    with pytest.raises(MethodNotAllowedError) as caught:
        route("PUT", "/v1/embeddings")

    assert caught.value.allowed == ("POST",)


@given(method=st.sampled_from(["GET", "POST", "DELETE", "PATCH", "get"]), path=st.text())
def test_any_path_is_served_or_refused(method: str, path: str) -> None:
    for below in (path, "/v1/" + path, "/v1/models/" + path):
        try:
            row = route(method, below)
        except RefusalError:
            continue
        assert row.method == method
