"""Verdicts are kept for a while, so many, by digests that tell nothing (section 12)."""

from __future__ import annotations

from tests.support.fake_clock import FakeClock
from tuckshop.domain.moderation import Judged
from tuckshop.gateway.moderation.verdicts import KEPT_MAX, KEPT_S, Verdicts

HARMLESS = Judged(frozenset(), {})


def test_a_verdict_is_found_until_its_time_is_over() -> None:
    clock = FakeClock()
    verdicts = Verdicts(b"secret", clock)
    digest = verdicts.digest_of("openai", "Hello.")

    verdicts.keep(digest, HARMLESS)

    assert verdicts.find(digest) is HARMLESS
    clock.advance(KEPT_S)
    assert verdicts.find(digest) is None
    assert len(verdicts) == 0


def test_the_oldest_goes_when_there_are_too_many() -> None:
    verdicts = Verdicts(b"secret", FakeClock())
    digests = [verdicts.digest_of("openai", str(n)) for n in range(KEPT_MAX + 1)]

    for digest in digests:
        verdicts.keep(digest, HARMLESS)

    assert len(verdicts) == KEPT_MAX
    assert verdicts.find(digests[0]) is None
    assert verdicts.find(digests[1]) is HARMLESS


def test_a_digest_depends_on_the_secret_the_service_and_the_content() -> None:
    one, other = (Verdicts(secret, FakeClock()) for secret in (b"one", b"other"))
    digests = {
        one.digest_of("openai", "Hello."),
        other.digest_of("openai", "Hello."),
        one.digest_of("ours", "Hello."),
        one.digest_of("openai", "Hello"),
        one.digest_of("openai", "Hello.", kind="picture"),
    }

    assert len(digests) == 5
    assert b"Hello" not in b"".join(digests)
