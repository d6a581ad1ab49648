"""Flags of what was judged: by a keyed digest of the content, never in its own words."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Final

from tuckshop.domain.flags import Flags, FlagSource, NewFlag
from tuckshop.domain.moderation import Finding, Judged
from tuckshop.gateway.call import Call

# Of a content its beginning is compared as people read it. Some characters become eighteen by it, so not all of it is.
PLAIN_CHARACTERS: Final = 1 << 16


class Notes:
    """
    Writes flags down.

    Args:
        secret: Of the digests in flags alone.
    """

    def __init__(self, flags: Flags, secret: bytes) -> None:
        self._flags = flags
        self._secret = secret

    def note(
        self,
        call: Call,
        source: FlagSource,
        finding: Finding,
        judged: Judged,
        *,
        text: str,
        is_own: bool,
    ) -> None:
        """Write down what was found in *text*."""
        holder = call.holder
        self._flags.note(
            NewFlag(
                workspace_id=holder.workspace.id,
                group_id=holder.group.id,
                member_id=holder.member.id,
                key_id=holder.key.id,
                request_id=call.request_id,
                source=source,
                action=finding.action,
                reasons=finding.reasons,
                scores={name: judged.scores.get(name, 1.0) for name in finding.reasons},
                content=self._digest_of(text),
                is_own=is_own,
            )
        )

    def _digest_of(self, text: str) -> bytes:
        """What a content is known by, however its beginning is spaced and whichever its case."""
        beginning, rest = text[:PLAIN_CHARACTERS], text[PLAIN_CHARACTERS:]
        plain = " ".join(unicodedata.normalize("NFKC", beginning).casefold().split())
        said = f"{plain}\0{rest}" if rest else plain
        return hmac.digest(self._secret, said.encode(), hashlib.sha256)
