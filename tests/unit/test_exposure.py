"""K14: a server that others can reach has no secret that could be guessed, and its operator is told of missing TLS."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tuckshop.domain.errors import SettingsError
from tuckshop.exposure import is_reachable, refuse_if_unfit, warnings_for, weakness_of
from tuckshop.settings import Settings

WEAK = "sixteen-letters-"
PUBLIC: list[dict[str, Any]] = [
    {"host": "0.0.0.0"},
    {"host": "::"},
    {"host": "192.0.2.1"},
    {"admin_host": "192.0.2.1", "admin_port": 8001},
    {"public_url": "https://tuckshop.example.org"},
]
PRIVATE: list[dict[str, Any]] = [
    {},
    {"host": "::1"},
    {"host": "localhost"},
    {"public_url": "http://localhost:8000"},
]


@pytest.mark.parametrize("place", PUBLIC)
def test_a_weak_secret_and_debug_are_refused_where_others_reach_the_server(
    place: dict[str, Any],
) -> None:
    strong = secrets.token_urlsafe(32)
    settings = Settings(**place)

    refuse_if_unfit(settings, strong)

    assert is_reachable(settings)
    with pytest.raises(SettingsError, match="TUCKSHOP_ADMIN_TOKEN") as refused:
        refuse_if_unfit(settings, WEAK)
    assert WEAK not in str(refused.value)
    with pytest.raises(SettingsError, match="TUCKSHOP_LOG_LEVEL"):
        refuse_if_unfit(Settings(**place, log_level="debug"), strong)


@pytest.mark.parametrize("place", PRIVATE)
def test_on_this_machine_alone_they_are_the_operators_own_matter(place: dict[str, Any]) -> None:
    refuse_if_unfit(Settings(**place, log_level="debug"), WEAK)

    assert warnings_for(Settings(**place)) == []


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "a" * 40,
        "ab" * 20,
        "0123456789" * 4,
        "change-me-before-you-go-public!",
        "MyPassword-is-long-enough-2026",
        "replace_this_with_a_long_token",
        "abcabcabcabcabcabcabcabcabcabc",
    ],
)
def test_what_could_be_guessed_is_weak(secret: str) -> None:
    assert weakness_of(secret) is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_urlsafe(32),
        lambda: secrets.token_hex(16),
        lambda: secrets.token_urlsafe(18),
    ],
)
def test_what_a_generator_made_is_not(make: Any) -> None:
    assert [secret for secret in (make() for _ in range(500)) if weakness_of(secret)] == []


def test_the_operator_is_told_of_missing_tls() -> None:
    assert "TUCKSHOP_PUBLIC_URL" in warnings_for(Settings(host="0.0.0.0"))[0]
    assert "192.0.2.1" in warnings_for(Settings(admin_host="192.0.2.1", admin_port=1))[0]
    assert warnings_for(Settings(host="0.0.0.0", public_url="https://t.test")) == []
    assert "TLS" in warnings_for(Settings(host="0.0.0.0", public_url="http://t.test"))[0]
