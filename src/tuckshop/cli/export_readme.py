"""The page that leads a person through what is known about them. Plain words, for somebody who never saw tuckshop."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from tuckshop.cli.client import Json
from tuckshop.cli.output import clean, when

_WIDTH: Final = 78
_LOGGING: Final = {
    "off": "Of what you ask and what is answered nothing is kept.",
    "flagged": "Of what you ask and what is answered only that is kept in which a check or a rule found something.",
    "all": "What you ask and what is answered is kept.",
}
_FLAGGED: Final = (
    "contents in which a check or a rule found something, and what became of it. Where `paused` is set it counted"
    " towards a pause of your key. `state`: open, upheld (it stands) or dismissed (it does not)"
)


def readme(export: Json) -> str:
    """
    What is in the folder, group by group.

    Args:
        export: As the API gives it; each group with `conversations`, how many were written.
    """
    lines = [
        "WHAT IS KNOWN ABOUT YOU",
        "",
        *_wrapped(
            f"This folder holds everything that the server which gave you a key knows about you, as of"
            f" {when(export['at'])}. It was made by your right to know (Art. 15 GDPR) and to take your data with you"
            " (Art. 20). Files that end in .csv open in any spreadsheet, files that end in .json in any text editor."
            " Times are in UTC unless said, money is in US dollars. A file that is not there would be empty."
        ),
    ]
    for one in export["data"]:
        lines += ["", *_group(one)]
    lines += ["", "WHAT IS NOT IN IT", "", *_not_in_it()]
    return "\n".join(lines) + "\n"


def _group(one: Json) -> Iterator[str]:
    group, member = one["group"], one["member"]
    title = clean(group["title"] or group["name"])
    yield f"{title}  (folder {clean(group['name'])})"
    yield "-" * min(_WIDTH, len(title) + len(clean(group["name"])) + 11)
    yield ""
    if one["erased_at"] is not None and member["name"] is None:
        yield from _wrapped(f"You were erased here on {when(one['erased_at'])}: your name is gone.")
    else:
        known = [member["external_id"], member["name"], member["email"]]
        said = ", ".join(clean(part) for part in known if part)
        yield from _wrapped(f"You are known here as {said}, since {when(one['created_at'])}.")
    yield from _wrapped(_kept(group))
    yield ""
    for file, text in _files(one):
        yield from _item(file, text)


def _kept(group: Json) -> str:
    logging = group["logging"]
    text = f"Rows of the log are kept {group['log_days']} days, then sums of them. {_LOGGING[logging['bodies']]}"
    if logging["bodies"] == "off":
        return text
    return (
        f"{text} Purpose: {clean(logging['purpose'])}. For {logging['days']} days. It may be read, for a reason that is"
        f" written down, by staff of the role {' or '.join(map(clean, logging['readers']))}, and by the operator of the"
        " server."
    )


def _files(one: Json) -> Iterator[tuple[str, str]]:
    """(file, what is in it), of those that are there."""
    bodies = one["bodies"]
    yield "profile.json", "who you are here, your limits and how much of them is used"
    for file, count, text in (
        (
            "keys.csv",
            len(one["keys"]),
            "your keys, with their last four characters: no more is kept",
        ),
        ("calls.csv", one["calls"], "each call you made: when, with which model, what it cost"),
        ("usage.csv", len(one["usage"]), "sums by month and model, older calls too"),
        (
            "conversations",
            one["conversations"],
            "what you asked and what was answered, a file per call, named as in calls.csv",
        ),
        ("flags.json", len(one["flags"]), _FLAGGED),
        ("appeals.json", len(one["appeals"]), "what you said to it, and links to say something by"),
        ("changes.csv", len(one["entries"]), "extra money, limits that were reset, corrections"),
        ("links.csv", len(one["links"]), "links by which you could pick up a key"),
        ("mails.csv", len(one["mails"]), "mails that were sent to you"),
        (
            "notices.csv",
            len(one["notices"]),
            "what staff were told about you, in how many mails and to how many programs",
        ),
        ("holds.csv", len(one["holds"]), "orders that nothing of yours may be deleted"),
        (
            "read-by.csv",
            len(one["reads"]),
            "who opened what you wrote or who you are, when and why; tries that were refused too, and this folder."
            " Of a search that was not about you alone: which of your calls it showed",
        ),
        ("trail.csv", len(one["trail"]), "everything that was done about you, by whom"),
    ):
        if count:
            yield file, f"{text} ({count:,})"
    missing = bodies["kept"] - one["conversations"]
    if bodies["kept"] and not bodies["readable"]:
        yield (
            "(not here)",
            f"{bodies['kept']:,} prompts and answers are kept, and whoever made this folder may not read them:"
            f" {clean(bodies['why_not'])} Ask for them.",
        )
    elif missing > 0:
        yield (
            "(not here)",
            f"{missing:,} prompts and answers were kept and cannot be opened any more, or were just deleted since their"
            " days are over.",
        )


def _not_in_it() -> Iterator[str]:
    yield from _wrapped(
        "Keys themselves (the server knows only a digest of them), and names of staff: `operator` is who runs the"
        " server, `token:…` a member of staff, `member:…` you, `system` the server itself. Groups that whoever made"
        " this folder does not see. Old backups, which nobody can search. What the provider of the models keeps: it"
        " saw what you wrote, under a pseudonym, and no name."
    )


def _item(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{name:<15}{text}", _WIDTH, subsequent_indent=" " * 15, break_on_hyphens=False
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_on_hyphens=False)
