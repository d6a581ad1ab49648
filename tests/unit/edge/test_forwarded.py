"""Forwarding fields are believed of trusted proxies alone, and from the right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.edge.fakes import RecordingApp, Wire
from tuckshop.domain.networks import parse_network
from tuckshop.edge.forwarded import HOPS_MAX, TrustedProxies, scheme_of

PROXIES = TrustedProxies(map(parse_network, ("10.0.0.0/8", "2001:db8::/32", "127.0.0.1")))


def told(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ((), "10.0.0.1"),
        (("203.0.113.7",), "203.0.113.7"),
        (
            ("198.51.100.9, 203.0.113.7",),
            "203.0.113.7",
        ),  # what the client itself sent is not believed
        (("198.51.100.9", "203.0.113.7"), "203.0.113.7"),
        (("203.0.113.7, 10.1.2.3",), "203.0.113.7"),  # two proxies in a row
        (("203.0.113.7, 10.1.2.3", "2001:db8::1"), "203.0.113.7"),
        (("10.9.9.9, 10.1.2.3",), "10.9.9.9"),  # nobody but proxies: the outermost
        (("203.0.113.7, rubbish, 10.1.2.3",), "10.1.2.3"),
        (("203.0.113.7, ",), "10.0.0.1"),
        (("203.0.113.7:4711",), "10.0.0.1"),
        (("unknown",), "10.0.0.1"),
        (("::ffff:203.0.113.7",), "203.0.113.7"),
        (("2001:DB9:0::7",), "2001:db9::7"),
        (("203.0.113.7\xff",), "10.0.0.1"),
        ((", ".join(["203.0.113.7"] + ["10.0.0.2"] * HOPS_MAX),), "10.0.0.2"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    values: tuple[str, ...], client: str
) -> None:
    assert PROXIES.client_of(told(*values), "10.0.0.1") == client


@given(forged=st.lists(st.text(st.characters(max_codepoint=255), max_size=20), max_size=5))
def test_nothing_that_a_client_sends_along_changes_who_it_is(forged: list[str]) -> None:
    line = ",".join([*forged, " 203.0.113.7"])

    assert PROXIES.client_of(told(line), "10.0.0.1") == "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.1.2.3", True), ("127.0.0.1", True), ("127.0.0.2", False), ("::ffff:10.0.0.1", True), ("", False)],
)  # fmt: skip
def test_a_peer_is_trusted_by_its_address(peer: str, trusted: bool) -> None:
    assert PROXIES.trust(peer) is trusted


@pytest.mark.parametrize(
    ("values", "scheme"),
    [((), "http"), (("https",), "https"), (("HTTPS",), "https"), (("https", "http"), "http"), (("x",), "http")],
)  # fmt: skip
def test_the_scheme_is_told_once_or_not_believed(values: tuple[str, ...], scheme: str) -> None:
    assert scheme_of([(b"x-forwarded-proto", value.encode()) for value in values]) == scheme


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "caddy", "", "1.2.3", "0x7f.1"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a network"):
        parse_network(text)


REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n"
)


@pytest.mark.parametrize(
    ("networks", "seen"),
    [
        ((), ("192.0.2.1", "http")),
        (("10.0.0.0/8",), ("192.0.2.1", "http")),
        (("192.0.2.0/24",), ("203.0.113.7", "https")),
    ],
)
def test_a_connection_believes_only_a_trusted_other_side(
    networks: tuple[str, ...], seen: tuple[str, str]
) -> None:
    app = RecordingApp()
    wire = Wire(app, trusted=TrustedProxies(map(parse_network, networks)))

    wire.feed(REQUEST)

    assert (app.exchanges[0].peer, app.exchanges[0].head.scheme) == seen
