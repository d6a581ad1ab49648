from __future__ import annotations

from tuckshop.gateway.callers import DIGEST_BYTES, KNOWN_MAX, Callers


def test_two_addresses_of_one_network_have_one_digest_and_others_another() -> None:
    """P12."""
    callers = Callers(b"a key")
    digest = callers.network_of("203.0.113.77")

    assert digest is not None
    assert len(digest) == DIGEST_BYTES
    assert callers.network_of("203.0.113.9") == digest
    assert callers.network_of("::ffff:203.0.113.9") == digest
    assert callers.network_of("203.0.114.77") != digest
    assert callers.network_of("2001:db8:1::1") == callers.network_of("2001:db8:1:ffff::2")


def test_the_digest_is_worth_nothing_without_its_key() -> None:
    """P12, K14."""
    assert Callers(b"a key").network_of("203.0.113.77") != Callers(b"another").network_of(
        "203.0.113.77"
    )


def test_no_address_has_no_network() -> None:
    assert Callers(b"a key").network_of("") is None


def test_however_many_callers_there_are_few_are_known() -> None:
    callers = Callers(b"a key")
    first = callers.network_of("10.0.0.0")

    for number in range(KNOWN_MAX + 10):
        callers.network_of(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    assert len(callers._known) == KNOWN_MAX
    assert callers.network_of("10.0.0.0") == first
