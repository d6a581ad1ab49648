"""Base URLs: the only thing that says where a request goes."""

from __future__ import annotations

import pytest

from tuckshop.upstreams.base_url import parse_base_url


@pytest.mark.parametrize(
    ("text", "host", "port", "prefix", "authority"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443, "/v1", "api.openai.com"),
        ("https://api.openai.com/v1/", "api.openai.com", 443, "/v1", "api.openai.com"),
        ("http://127.0.0.1:9000", "127.0.0.1", 9000, "", "127.0.0.1:9000"),
        ("http://[::1]:8080/a/b", "::1", 8080, "/a/b", "[::1]:8080"),
        ("HTTPS://Example.TEST:443", "example.test", 443, "", "example.test"),
        ("http://localhost:443/", "localhost", 443, "", "localhost:443"),
    ],
)
def test_a_base_url_is_taken_apart(
    text: str, host: str, port: int, prefix: str, authority: str
) -> None:
    url = parse_base_url(text)

    assert (url.host, url.port, url.prefix, url.authority) == (host, port, prefix, authority)
    assert url.is_tls == text.lower().startswith("https")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com/v1",
        "ftp://a",
        "file:///etc/passwd",
        "http://",
        "http://user@a",
        "http://user:secret@a",
        "http://a/?x=1",
        "http://a/#f",
        "http://a:0",
        "http://a:99999",
        "http://a:x",
        "http://a/../b",
        "http://a/b//c",
        "http://a/b%2f",
        "http://a/b c",
        "http://[::1",
    ],
)
def test_what_is_not_plainly_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_base_url(text)
