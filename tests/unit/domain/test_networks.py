from __future__ import annotations

import pytest

from tuckshop.domain.networks import parse_address, parse_network, site_of


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
    ],
)
def test_of_an_address_only_its_site_is_told(text: str, site: str) -> None:
    """P12."""
    address = parse_address(text)

    assert address is not None
    assert site_of(address) == site


@pytest.mark.parametrize("text", ["", "unix:", "203.0.113", "203.0.113.077", "1.2.3.4:80"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_a_network_is_of_the_family_that_its_addresses_come_in(text: str, printed: str) -> None:
    assert str(parse_network(text)) == printed
