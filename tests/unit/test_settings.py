"""Settings: every name is known, every value checked, and an error tells where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuckshop.domain.errors import SettingsError
from tuckshop.settings import documented, load_settings


def test_defaults_hold_where_nothing_is_set(tmp_path: Path) -> None:
    loaded = load_settings({"PATH": "/bin"}, tmp_path)

    assert loaded.settings.port == 8000
    assert loaded.settings.durability == "full"
    assert set(loaded.origins.values()) == {"default"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "tuckshop.toml").write_text(
        'port = 9000\nhost = "::1"\n[edge]\nhead_max_bytes = 1000\n'
    )

    loaded = load_settings({"TUCKSHOP_PORT": "9001"}, tmp_path)

    assert (loaded.settings.port, loaded.settings.host) == (9001, "::1")
    assert loaded.settings.edge.head_max_bytes == 1000
    assert loaded.origins["port"] == "TUCKSHOP_PORT"
    assert loaded.origins["edge.head_max_bytes"] == "tuckshop.toml, [edge] head_max_bytes"


def test_the_edges_numbers_have_variables_too(tmp_path: Path) -> None:
    loaded = load_settings({"TUCKSHOP_EDGE_STALL_TIMEOUT_S": "1.5"}, tmp_path)

    assert loaded.settings.edge.stall_timeout_s == 1.5


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TUCKSHOP_PROT": "1"}, "TUCKSHOP_PORT"),
        ({"TUCKSHOP_PORT": "eight"}, "whole number"),
        ({"TUCKSHOP_PORT": "70000"}, "0 to 65535"),
        ({"TUCKSHOP_PORT": "-1"}, "whole number"),
        ({"TUCKSHOP_HOST": ""}, "not empty"),
        ({"TUCKSHOP_TIMEZONE": "Berlin"}, "IANA"),
        ({"TUCKSHOP_DURABILITY": "some"}, "full, process"),
        ({"TUCKSHOP_DRAIN_SECONDS": "nan"}, "seconds"),
        ({"TUCKSHOP_SMTP_URL": "mail.example.org"}, "smtp://USER:PASSWORD@HOST:587"),
        ({"TUCKSHOP_SMTP_URL": "smtp://localhost"}, "TUCKSHOP_MAIL_FROM"),
        ({"TUCKSHOP_MAIL_FROM": "Tuckshop"}, "is not an address"),
        ({"TUCKSHOP_MAIL_DOMAINS": "example.org, a_b"}, "not a domain"),
        ({"TUCKSHOP_MAIL_PER_MINUTE": "0"}, "1 or more"),
        ({"TUCKSHOP_ADMIN_TOKEN": "geheim-schlüssel-0123456"}, "visible ASCII"),
        ({"TUCKSHOP_ADMIN_TOKEN": "a-token-of-some-length "}, "no blanks"),
        ({"TUCKSHOP_DATABASE_URL": "mysql://x"}, "sqlite:///"),
        ({"OPENAI_API_KEY": "sk-tuck-abc"}, "virtual key"),
        ({"OPENAI_API_KEY": "sk-abc\n"}, "line break"),
        ({"OPENAI_BASE_URL": "api.openai.com"}, "address such as"),
        ({"OPENAI_BASE_URL": "https://user:pw@host/v1"}, "user"),
        ({"OPENAI_BASE_URL": "http://localhost:8000/v1"}, "own listener"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}, "address such as"),
        ({"OPENAI_BASE_URL": "http://localhost:8001/v1", "TUCKSHOP_ADMIN_PORT": "8001"}, "own"),
        (
            {"OPENAI_BASE_URL": "https://t.test/v1", "TUCKSHOP_PUBLIC_URL": "https://t.test"},
            "own listener",
        ),
        ({"TUCKSHOP_ADMIN_PORT": "70000"}, "0 to 65535"),
        ({"TUCKSHOP_PUBLIC_URL": "tuckshop.example.org"}, "address such as"),
        ({"TUCKSHOP_PUBLIC_URL": "https://tuck shop.example.org"}, "address such as"),
        ({"TUCKSHOP_PUBLIC_URL": "https://u:p@tuckshop.example.org"}, "only scheme"),
        ({"TUCKSHOP_TRUSTED_PROXIES": "10.0.0.0/8, 10.0.0.1/8"}, "10.0.0.1/8"),
        ({"TUCKSHOP_TRUSTED_PROXIES": "caddy"}, "not a network"),
        ({"TUCKSHOP_BROWSER_ORIGINS": "https://a.example.org/app"}, "not an origin"),
        ({"TUCKSHOP_BROWSER_ORIGINS": "null"}, "names nobody"),
        ({"TUCKSHOP_UPSTREAM_PROXY": "socks5://proxy:1080"}, "others than HTTP"),
        ({"TUCKSHOP_UPSTREAM_PROXY": "http://proxy:3128/path"}, "nothing behind"),
        ({"TUCKSHOP_CA_FILE": "/no/such/file"}, "no certificates"),
        ({"TUCKSHOP_CA_FILE": __file__}, "no certificates"),
        ({"TUCKSHOP_EDGE_HEAD_BYTES": "1"}, "TUCKSHOP_EDGE_HEAD_MAX_BYTES"),
        ({"TUCKSHOP_ADMIN_TOKEN_FILE": "/no/such/file"}, "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_with_the_name_and_what_was_expected(
    tmp_path: Path, environment: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingsError, match=next(iter(environment))) as refused:
        load_settings(environment, tmp_path)

    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "tuckshop.toml, prot"),
        ("[edge]\nheads = 1", "[edge] heads"),
        ('port = "x', "not TOML"),
        ("port = true", "whole number"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "tuckshop.toml").write_text(text)

    with pytest.raises(SettingsError) as refused:
        load_settings({}, tmp_path)

    assert told in str(refused.value)


def test_a_short_token_is_taken_where_only_this_machine_can_reach_the_server(
    tmp_path: Path,
) -> None:
    """K14: weak secrets are refused on a public address."""
    assert (
        load_settings({"TUCKSHOP_ADMIN_TOKEN": "short"}, tmp_path).settings.admin_token == "short"
    )


def test_no_error_and_no_repr_shows_a_secret(tmp_path: Path) -> None:
    secret = "sk-canary-0123456789"

    loaded = load_settings({"OPENAI_API_KEY": secret, "TUCKSHOP_ADMIN_TOKEN": secret * 2}, tmp_path)

    assert secret not in repr(loaded)
    with pytest.raises(SettingsError) as refused:
        load_settings({"OPENAI_API_KEY": secret + "\x00"}, tmp_path)
    assert secret not in str(refused.value)


def test_what_kubernetes_injects_is_ignored(tmp_path: Path) -> None:
    injected = {
        "TUCKSHOP_PORT": "tcp://10.0.0.1:8000",
        "TUCKSHOP_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "TUCKSHOP_SERVICE_HOST": "10.0.0.1",
    }

    assert load_settings(injected, tmp_path).settings.port == 8000


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")

    loaded = load_settings({"TUCKSHOP_ADMIN_TOKEN_FILE": str(path)}, tmp_path)

    assert loaded.settings.admin_token == "a-token-of-some-length"


def test_several_texts_stand_in_a_list_or_with_commas_or_spaces(tmp_path: Path) -> None:
    (tmp_path / "tuckshop.toml").write_text('trusted_proxies = ["10.0.0.0/8", "::1"]\n')

    loaded = load_settings({"TUCKSHOP_BROWSER_ORIGINS": "https://a.test, https://b.test"}, tmp_path)

    assert loaded.settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert loaded.settings.browser_origins == ("https://a.test", "https://b.test")
    assert load_settings({"TUCKSHOP_BROWSER_ORIGINS": ""}, tmp_path).settings.browser_origins == ()


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, None),
        ({"TUCKSHOP_ADMIN_PORT": "8000"}, None),
        ({"TUCKSHOP_ADMIN_HOST": "127.0.0.1"}, None),
        ({"TUCKSHOP_ADMIN_PORT": "8001"}, ("127.0.0.1", 8001)),
        ({"TUCKSHOP_HOST": "192.0.2.1", "TUCKSHOP_ADMIN_HOST": "127.0.0.1"}, ("127.0.0.1", 8000)),
        ({"TUCKSHOP_PORT": "0", "TUCKSHOP_ADMIN_PORT": "0"}, ("127.0.0.1", 0)),
    ],
)
def test_the_admin_api_has_a_listener_of_its_own_where_its_address_differs(
    tmp_path: Path, environment: dict[str, str], address: tuple[str, int] | None
) -> None:
    settings = load_settings(environment, tmp_path).settings

    assert settings.has_admin_listener == (address is not None)
    assert settings.admin_address == (address or (settings.host, settings.port))


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:CANARY@proxy:x",
        "https://user:CANARY@p",
        "http://u:CANARY@[/",
        "http://u:CANARY@p/x",
    ],
)
def test_no_error_about_the_proxy_shows_its_password(
    tmp_path: Path, proxy: str, place: str
) -> None:
    environment = {"TUCKSHOP_UPSTREAM_PROXY": proxy}
    if place == "file":
        (tmp_path / "tuckshop.toml").write_text(f'upstream_proxy = "{proxy}"\n')
        environment = {}

    with pytest.raises(SettingsError, match=r"(?i)upstream_proxy") as refused:
        load_settings(environment, tmp_path)

    assert "CANARY" not in str(refused.value)


def test_every_setting_has_a_meaning() -> None:
    rows = documented()

    assert len(rows) > 30
    assert all(meaning.endswith(".") for _, _, _, meaning in rows)
