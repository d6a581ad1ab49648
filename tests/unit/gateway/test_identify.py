"""Which key a call carries, and whether it may call."""

from __future__ import annotations

import pytest

from tuckshop.domain.errors import InvalidApiKeyError, RateLimitExceededError
from tuckshop.domain.keys import new_secret
from tuckshop.gateway.credential import secret_of
from tuckshop.gateway.drains import DrainLimits, Drains
from tuckshop.gateway.flood import FloodGate

SECRET = new_secret()
OTHER = new_secret()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer " + SECRET.encode())],
        [(b"authorization", b"bearer " + SECRET.encode())],
        [(b"api-key", SECRET.encode())],
        [(b"x-api-key", SECRET.encode())],
        [(b"api-key", SECRET.encode()), (b"authorization", b"Bearer " + SECRET.encode())],
    ],
)
def test_a_key_is_taken_from_each_documented_place(headers: list[tuple[bytes, bytes]]) -> None:
    assert secret_of(headers) == SECRET


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", SECRET.encode())],
        [(b"authorization", b"Basic " + SECRET.encode())],
        [(b"authorization", b"Bearer sk-proj-something")],
        [(b"authorization", b"Bearer " + SECRET[:-1].encode() + b"!")],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"api-key", SECRET.encode()), (b"x-api-key", OTHER.encode())],
        [
            (b"authorization", b"Bearer " + SECRET.encode()),
            (b"authorization", b"Bearer " + OTHER.encode()),
        ],
        [(b"cookie", SECRET.encode())],
    ],
)
def test_no_key_a_malformed_one_or_two_that_differ_are_refused(
    headers: list[tuple[bytes, bytes]],
) -> None:
    """E4, K1."""
    with pytest.raises(InvalidApiKeyError):
        secret_of(headers)


@pytest.mark.parametrize("secret", ["sk-1234", "sk-Aq9_x-27Yz", "0b1e-aa"])
def test_a_key_of_another_format_passes_only_where_such_keys_were_taken_over(secret: str) -> None:
    """K1."""
    headers = [(b"authorization", b"Bearer " + secret.encode())]

    assert secret_of(headers, foreign=True) == secret
    with pytest.raises(InvalidApiKeyError):
        secret_of(headers)


@pytest.mark.parametrize(
    "secret",
    [SECRET[:-1], SECRET[:-1] + "!", SECRET + "0", "sk-tuck-", "sk-tuck-mine", "sk-\xff", ""],
    # Names of their own: the secret is another one in each process that collects the tests.
    ids=["short", "wrong sign", "long", "prefix only", "word", "not ASCII", "nothing"],
)
def test_a_mistyped_key_is_refused_without_a_look_up_whatever_was_taken_over(secret: str) -> None:
    """K1."""
    with pytest.raises(InvalidApiKeyError):
        secret_of([(b"authorization", b"Bearer " + secret.encode("latin-1"))], foreign=True)


def test_a_flood_of_one_key_is_stopped_and_others_are_not() -> None:
    gate = FloodGate(per_second=10, burst=3)
    for _ in range(3):
        gate.pass_through("key_a", 0.0)

    with pytest.raises(RateLimitExceededError) as refused:
        gate.pass_through("key_a", 0.0)
    gate.pass_through("key_b", 0.0)

    assert refused.value.flood
    assert refused.value.retry_after_s == pytest.approx(0.1)
    gate.pass_through("key_a", 0.11)


def test_a_rate_is_kept_over_time() -> None:
    gate = FloodGate(per_second=10, burst=5)
    passed = 0
    for step in range(1000):
        try:
            gate.pass_through("key_a", step * 0.01)
        except RateLimitExceededError:
            continue
        passed += 1

    assert passed == pytest.approx(5 + 10 * 9.99, abs=1)


def test_drained_calls_are_bounded_in_all_and_per_member() -> None:
    drains = Drains(DrainLimits(all=3, per_member=2))

    entered = [drains.enter(member) for member in ("a", "a", "a", "b", "c")]
    drains.leave("a")

    assert entered == [True, True, False, True, False]
    assert drains.enter("c")
