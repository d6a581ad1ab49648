"""Signatures as Standard Webhooks has them."""

from __future__ import annotations

import base64

from tuckshop.domain.webhooks import new_webhook_secret, signature_of


def test_a_signature_is_that_of_the_standard() -> None:
    """The example of the specification (standard-webhooks: libraries/python/tests)."""
    signature = signature_of(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1_614_265_330,
        body=b'{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_are_random_and_of_32_bytes() -> None:
    secrets = {new_webhook_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert {len(base64.b64decode(one.removeprefix("whsec_"))) for one in secrets} == {32}
