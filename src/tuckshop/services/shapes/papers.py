"""What the operator states for papers of data protection, and the papers."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from tuckshop.domain.privacy import Language, Paper, Provider
from tuckshop.services.papers.document import Block
from tuckshop.services.shapes.parts import Sent, Shown, Versioned


class ProviderChange(Sent, frozen=True, kw_only=True):
    """Any part of what is stated of a provider; null takes it back."""

    company: str | UnsetType | None = UNSET
    region: str | UnsetType | None = UNSET
    contract: str | UnsetType | None = UNSET
    transfer: str | UnsetType | None = UNSET
    retention: str | UnsetType | None = UNSET


class PrivacyChange(Sent, frozen=True, kw_only=True):
    """Any part of what is stated; null takes it back. Of providers, those that are named."""

    controller: str | UnsetType | None = UNSET
    representative: str | UnsetType | None = UNSET
    contact: str | UnsetType | None = UNSET
    officer: str | UnsetType | None = UNSET
    authority: str | UnsetType | None = UNSET
    purpose: str | UnsetType | None = UNSET
    legal_basis: str | UnsetType | None = UNSET
    hosting: str | UnsetType | None = UNSET
    backups: str | UnsetType | None = UNSET
    logs: str | UnsetType | None = UNSET
    notice_url: str | UnsetType | None = UNSET
    providers: dict[str, ProviderChange | None] | UnsetType = UNSET  # by name of the upstream


class PrivacyShape(Versioned, frozen=True, kw_only=True):
    """What is stated, as read. Empty: the papers show a gap."""

    controller: str
    representative: str
    contact: str
    officer: str
    authority: str
    purpose: str
    legal_basis: str
    hosting: str
    backups: str
    logs: str
    notice_url: str
    providers: dict[str, Provider] = field(default_factory=dict)


class PaperQuery(Sent, frozen=True, kw_only=True):
    """In which language."""

    lang: Language = "en"


class PaperShape(Shown, frozen=True, kw_only=True):
    """A paper, from what is in force now."""

    paper: Paper
    lang: Language
    group: str | None  # its name; null: all groups
    made_on: str
    markdown: str
    to_fill: list[str]  # what the paper has gaps for


class WrittenPaper(Shown, frozen=True, kw_only=True):
    """A paper before it has a form."""

    shape: PaperShape
    blocks: list[Block]
