"""Origins are kept as browsers send them."""

from __future__ import annotations

import pytest

from tuckshop.domain.origins import parse_origin


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("https://chat.example.org", "https://chat.example.org"),
        ("https://Chat.Example.org/", "https://chat.example.org"),
        ("https://chat.example.org:443", "https://chat.example.org"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://a.test:80", "https://a.test:80"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("tauri://localhost", "tauri://localhost"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(text: str, sent: str) -> None:
    assert parse_origin(text) == sent


@pytest.mark.parametrize(
    "text",
    ["null", "chat.example.org", "https://", "https://a.test/app", "https://a.test:0", "https://a.test:99999",
     "https://u@a.test", "https://*.a.test", "https://bücher.test", "https://a.test\r\nx: y", ""],
)  # fmt: skip
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an origin|names nobody|xn--"):
        parse_origin(text)
