"""
What papers for data protection need and no setting tells: who is responsible, on what ground, and who providers are.

Nothing here is obeyed by calls. What is left empty stands in the papers as a gap to be filled in.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Paper = Literal["notice", "record", "dpia"]
Language = Literal["en", "de"]


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is behind an upstream, as a contract with them says."""

    company: str = ""  # name and address
    region: str = ""  # where calls are processed
    contract: str = ""  # the agreement on processing (Art. 28 GDPR)
    transfer: str = ""  # the ground of a transfer to a third country (Art. 44 ff. GDPR)
    retention: str = ""  # what is kept there, and how long


class PrivacyStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator says of a workspace. Lines of text, in the language of its papers."""

    controller: str = ""  # name and address of who is responsible (Art. 4(7))
    representative: str = ""  # who acts for it
    contact: str = ""  # whom people write to about their data
    officer: str = ""  # the data protection officer
    authority: str = ""  # where people may lodge a complaint
    purpose: str = ""  # what calls are served for
    legal_basis: str = ""
    hosting: str = ""  # who runs the server, and where
    backups: str = ""  # where copies lie, and how long
    logs: str = ""  # how long the machine keeps what the server logs
    notice_url: str = ""  # where people find the notice; empty: with their key, at this server
    providers: dict[str, Provider] = msgspec.field(default_factory=dict)  # by name of the upstream


NO_STATEMENT: Final = PrivacyStatement()
NO_PROVIDER: Final = Provider()
