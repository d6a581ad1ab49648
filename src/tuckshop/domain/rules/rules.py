"""What a group's `rules` say. Allow-lists: null is no rule, empty allows nothing."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

PiiKind = Literal["credit_card", "email", "iban", "phone"]
PiiAction = Literal["block", "flag", "redact"]
PII_KINDS: Final[tuple[PiiKind, ...]] = get_args(PiiKind)
PII_ACTIONS: Final[tuple[PiiAction, ...]] = get_args(PiiAction)
PromptMode = Literal["prepend", "enforce"]

WORDS_MAX: Final = 2_000
PATTERNS_MAX: Final = 32
PATTERN_MAX_CHARACTERS: Final = 256
PROMPT_MAX_CHARACTERS: Final = 16_384
ENTRIES_MAX: Final = 64  # of the other lists

_Entry = Annotated[str, Meta(min_length=1, max_length=128)]


class SystemPrompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model is told before anything that the client says."""

    text: Annotated[str, Meta(min_length=1, max_length=PROMPT_MAX_CHARACTERS)]
    mode: PromptMode = "prepend"  # enforce: the client has no system messages of its own


class Rules(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """All of them; each may be left out."""

    deny_words: Annotated[tuple[_Entry, ...], Meta(max_length=WORDS_MAX)] = ()
    deny_patterns: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=PATTERN_MAX_CHARACTERS)], ...],
        Meta(max_length=PATTERNS_MAX),
    ] = ()
    pii: dict[PiiKind, PiiAction] = msgspec.field(default_factory=dict)
    tools: Annotated[tuple[_Entry, ...], Meta(max_length=ENTRIES_MAX)] | None = None
    max_input_tokens: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    system_prompt: SystemPrompt | None = None
    hours: Annotated[tuple[_Entry, ...], Meta(max_length=ENTRIES_MAX)] | None = None
    networks: Annotated[tuple[_Entry, ...], Meta(max_length=ENTRIES_MAX)] | None = None

    @property
    def reads_texts(self) -> bool:
        """Must what a body says be looked through?"""
        return bool(self.deny_words or self.deny_patterns or self.pii)

    @property
    def reads_bodies(self) -> bool:
        """Must bodies be looked at, or changed?"""
        return self.reads_texts or self.tools is not None or self.system_prompt is not None

    def of_rewriting(self) -> Rules:
        """Those by which a body is changed, once all were held against it."""
        redacted: dict[Any, Any] = {k: a for k, a in self.pii.items() if a == "redact"}
        return Rules(pii=redacted, system_prompt=self.system_prompt)


NO_RULES: Final = Rules()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a rule took note of. Not the text itself."""

    reasons: tuple[str, ...]  # names of rules: `deny_words`, `pii.email`
    action: Literal["blocked", "noted", "redacted"]
    digest: bytes  # SHA-256 of the text
    is_own: bool  # the member said it, in a role of their own
    param: str  # where in the body it stands
