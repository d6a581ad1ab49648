"""
What mails say: a subject and a text with placeholders such as ``{name}``, each replaced by plain text.

There is no language in them: no formats, no attributes, no conditions. What is put in is not read again, so a name that
looks like a placeholder stays a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tuckshop.domain.errors import InvalidFieldError
from tuckshop.mailing.address import one_line
from tuckshop.mailing.message import SUBJECT_MAX_CHARACTERS

Kind = Literal["invite", "rotated", "claimed", "paused", "test", "notice", "budget"]

TEMPLATE_MAX_CHARACTERS: Final = 20_000
_COMMON: Final = frozenset({"base_url", "contact"})
_OF_MEMBER: Final = _COMMON | {"name", "external_id", "course", "limits", "models"}
PLACEHOLDERS: Final[Mapping[Kind, frozenset[str]]] = {
    "invite": _OF_MEMBER | {"link", "expires"},
    "rotated": _OF_MEMBER | {"link", "expires"},
    "claimed": _OF_MEMBER | {"at"},
    "paused": _OF_MEMBER | {"link", "expires"},
    "test": _COMMON,
    "notice": _COMMON | {"course", "what", "events"},
    "budget": _OF_MEMBER | {"limit", "percent", "used", "amount", "renews"},
}
WITH_LINK: Final[frozenset[Kind]] = frozenset({"invite", "rotated", "paused"})

# "{{" and "}}" are braces; everything else between braces on one line is meant as a placeholder.
_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}")
_HEAD: Final = re.compile(r"subject:[ \t]*(?P<subject>[^\n]*)\n(?:[ \t]*\n)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Template:
    """A subject of one line, and a text of several."""

    subject: str
    text: str

    def __str__(self) -> str:
        """As a file holds it."""
        return f"Subject: {self.subject}\n\n{self.text}"

    def filled(self, values: Mapping[str, str]) -> Template:
        """The same with *values*, which has to have all that are named, in place of the placeholders."""

        def value(part: re.Match[str]) -> str:
            return part[0][0] if part[1] is None else values[part[1]]

        return Template(
            one_line(_PART.sub(value, self.subject))[:SUBJECT_MAX_CHARACTERS],
            _PART.sub(value, self.text),
        )


def parse_template(text: str, kind: Kind) -> Template:
    """
    The template that a file holds: a first line ``Subject: …``, then the text.

    Raises:
        InvalidFieldError: It has no subject, a placeholder that mails of this kind do not know, or no ``{link}`` where
            that is what the mail is for.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > TEMPLATE_MAX_CHARACTERS:
        raise _refused(f"is longer than {TEMPLATE_MAX_CHARACTERS:,} characters")
    if any(character < " " and character not in "\n\t" for character in text):
        raise _refused("holds a control character")
    head = _HEAD.match(text)
    if head is None or not head["subject"].strip():
        raise _refused("its first line has to be the subject: Subject: Your key for {course}")
    template = Template(head["subject"].strip(), text[head.end() :].strip("\n") + "\n")
    if not template.text.strip():
        raise _refused("has no text below its subject")
    _check(template, PLACEHOLDERS[kind], text)
    if kind in WITH_LINK and "link" not in _named(template.text):
        raise _refused("has no {link} in its text, so nobody could pick a key up")
    if "link" in _named(template.subject):
        raise _refused("has {link} in its subject, which mail servers write into their logs")
    return template


def _check(template: Template, known: Collection[str], text: str) -> None:
    for found in _PART.finditer(text):
        if found[1] is not None and found[1] not in known:
            line = text.count("\n", 0, found.start()) + 1
            raise _refused(
                f"line {line}: there is no {found[0]}; known are "
                + ", ".join(f"{{{name}}}" for name in sorted(known))
                + " (a brace itself is written twice: {{ and }})"
            )


def _named(text: str) -> set[str]:
    return {found[1] for found in _PART.finditer(text) if found[1] is not None}


def _refused(message: str) -> InvalidFieldError:
    return InvalidFieldError("template", message)
