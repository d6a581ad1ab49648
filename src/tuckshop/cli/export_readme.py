"""The page that leads a person through what is known about them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from tuckshop.cli.client import Json
from tuckshop.cli.export_words import Words
from tuckshop.cli.output import clean, when

_WIDTH: Final = 78
# File → the field of the export that it holds: a list, or the number of what is in it. Of empty ones there is none.
_FIELDS: Final = {
    "keys.csv": "keys",
    "calls.csv": "calls",
    "usage.csv": "usage",
    "conversations": "conversations",
    "flags.json": "flags",
    "appeals.json": "appeals",
    "changes.csv": "entries",
    "links.csv": "links",
    "mails.csv": "mails",
    "notices.csv": "notices",
    "holds.csv": "holds",
    "read-by.csv": "reads",
    "trail.csv": "trail",
}


def readme(export: Json, words: Words) -> str:
    """
    What is in the folder, group by group.

    Args:
        export: As the API gives it; each group with `conversations`, how many were written.
    """
    lines = [words.title, "", *_wrapped(words.opening.format(at=when(export["at"])))]
    for one in export["data"]:
        lines += ["", *_group(one, words)]
    lines += ["", words.missing_title, "", *_wrapped(words.missing)]
    return "\n".join(lines) + "\n"


def _group(one: Json, words: Words) -> Iterator[str]:
    group, member = one["group"], one["member"]
    name = clean(group["name"])
    heading = words.heading.format(title=clean(group["title"]) or name, name=name)
    yield from (heading, "-" * min(_WIDTH, len(heading)), "")
    if one["erased_at"] is not None and member["name"] is None:
        yield from _wrapped(words.erased.format(at=when(one["erased_at"])))
    else:
        known = [member["external_id"], member["name"], member["email"]]
        who = ", ".join(clean(part) for part in known if part)
        yield from _wrapped(words.known.format(who=who, since=when(one["created_at"])))
    yield from _wrapped(_kept(group, words))
    yield ""
    for file, text in _files(one, words):
        yield from textwrap.wrap(
            f"{file:<15}{text}", _WIDTH, subsequent_indent=" " * 15, break_on_hyphens=False
        )


def _kept(group: Json, words: Words) -> str:
    logging = group["logging"]
    text = f"{words.log.format(days=group['log_days'])} {words.bodies[logging['bodies']]}"
    if logging["bodies"] == "off":
        return text
    kept = words.kept.format(
        purpose=clean(logging["purpose"]),
        days=logging["days"],
        readers=words.either.join(map(clean, logging["readers"])),
    )
    return f"{text} {kept}"


def _files(one: Json, words: Words) -> Iterator[tuple[str, str]]:
    """(file, what is in it), of those that are there."""
    yield "profile.json", words.files["profile.json"]
    for file, field in _FIELDS.items():
        count = one[field] if isinstance(one[field], int) else len(one[field])
        if count:
            yield file, f"{words.files[file]} ({count:,})"
    bodies = one["bodies"]
    missing = bodies["kept"] - one["conversations"]
    if bodies["kept"] and not bodies["readable"]:
        why = clean(bodies["why_not"])
        yield words.not_here, words.withheld.format(count=bodies["kept"], why=why)
    elif missing > 0:
        yield words.not_here, words.lost.format(count=missing)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False)
