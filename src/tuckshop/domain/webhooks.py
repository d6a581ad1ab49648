"""
Webhooks: who is told of what, and how a delivery is signed, as Standard Webhooks has it.

A receiver is sent `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,…`: the HMAC-SHA-256, in base64, of
``id.timestamp.body`` under what stands in base64 behind ``whsec_`` in the secret. A repeat has the same id and another
time, so a receiver that remembers ids, and takes none that is older than some minutes, does nothing twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

from tuckshop.domain.notices import NoticeKind
from tuckshop.domain.records import Reach

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with
_SECRET_BYTES: Final = 32

WebhookState = Literal["active", "paused"]
DeliveryState = Literal["waiting", "sent", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that is told, as it is kept."""

    id: str
    workspace_id: str
    url: str
    kinds: frozenset[NoticeKind] | None  # None: all
    group_ids: frozenset[str] | None  # None: all, and what is of no group
    reach: Reach
    sealed: bytes = field(repr=False)  # the secret
    state: WebhookState
    failing_since_us: int | None = None
    told: str | None = None
    created_by: str
    created_at_us: int

    def wants(self, kind: NoticeKind, group_id: str | None) -> bool:
        """Is it to be told of a notice of this kind, about this group or none?"""
        return (
            self.state == "active"
            and (self.kinds is None or kind in self.kinds)
            and (self.group_ids is None or group_id in self.group_ids)
        )


def new_webhook_secret() -> str:
    """A fresh secret, to be shown once."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature_of(secret: str, *, message_id: str, at_s: int, body: bytes) -> str:
    """What `webhook-signature` says of a delivery."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
