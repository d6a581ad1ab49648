"""The texts that mails have unless somebody brings their own, in English and German."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tuckshop.mailing.policy import Language
from tuckshop.services.mail_templates import Kind, Template, parse_template

_TEXTS: Final[Mapping[tuple[Kind, Language], str]] = {
    ("invite", "en"): """\
Subject: Your key for {course}

Hello {name},

you have a key of your own for the language models in {course}. Pick it up here:

{link}

The link works once, until {expires}. It is yours alone: please do not pass it on. The
key is shown once; keep it as you keep a password.

Your limits: {limits}
Models: {models}
Address for your programs (OPENAI_BASE_URL): {base_url}

Questions? {contact}
""",
    ("invite", "de"): """\
Subject: Dein Schlüssel für {course}

Hallo {name},

für {course} hast du einen eigenen Schlüssel zu den Sprachmodellen. Hier kannst du ihn abholen:

{link}

Der Link gilt einmal und bis {expires}. Er ist nur für dich: Gib ihn bitte nicht weiter. Der
Schlüssel wird einmal angezeigt; bewahre ihn auf wie ein Passwort.

Deine Grenzen: {limits}
Modelle: {models}
Adresse für deine Programme (OPENAI_BASE_URL): {base_url}

Fragen? {contact}
""",
    ("rotated", "en"): """\
Subject: A new key for {course}

Hello {name},

your key for {course} is being replaced. Pick up the new one here:

{link}

The link works once, until {expires}. What you have used and what is left stay as they are.
Put the new key wherever your programs have the old one.

Address for your programs (OPENAI_BASE_URL): {base_url}

Questions? {contact}
""",
    ("rotated", "de"): """\
Subject: Ein neuer Schlüssel für {course}

Hallo {name},

dein Schlüssel für {course} wird ersetzt. Den neuen kannst du hier abholen:

{link}

Der Link gilt einmal und bis {expires}. Was du verbraucht hast und was übrig ist, bleibt,
wie es ist. Setze den neuen Schlüssel überall dort ein, wo deine Programme den alten haben.

Adresse für deine Programme (OPENAI_BASE_URL): {base_url}

Fragen? {contact}
""",
    ("claimed", "en"): """\
Subject: Your key for {course} was picked up

Hello {name},

your link for {course} was opened and the key picked up, on {at}.

If that was you, all is well. If not, somebody else has your key: tell us at once, and you
get a new one. {contact}
""",
    ("claimed", "de"): """\
Subject: Dein Schlüssel für {course} wurde abgeholt

Hallo {name},

dein Link für {course} wurde geöffnet und der Schlüssel abgeholt, am {at}.

Wenn du das warst, ist alles gut. Wenn nicht, hat jemand anders deinen Schlüssel: Sag uns
sofort Bescheid, dann bekommst du einen neuen. {contact}
""",
    ("paused", "en"): """\
Subject: Paused in {course}

Hello {name},

some of what you sent to the language models in {course} was flagged, so you, or your key,
were paused. Nobody has judged it yet. Here you see when and why, and can tell your side:

{link}

The link takes one answer, until {expires}. Whoever runs the course reads it and tells you
how it goes on. {contact}
""",
    ("paused", "de"): """\
Subject: Angehalten in {course}

Hallo {name},

von dem, was du in {course} an die Sprachmodelle geschickt hast, wurde einiges beanstandet.
Deshalb bist du, oder ist dein Schlüssel, angehalten. Beurteilt hat es noch niemand. Hier
siehst du, wann und warum, und kannst sagen, wie es war:

{link}

Der Link nimmt eine Antwort an, bis {expires}. Wer den Kurs leitet, liest sie und sagt dir,
wie es weitergeht. {contact}
""",
    ("test", "en"): """\
Subject: Tuckshop can send mail

This is the test that was asked for: mail from {base_url} arrives.

Answers go to {contact}.
""",
    ("test", "de"): """\
Subject: Tuckshop kann Mails verschicken

Das ist die Probe, um die gebeten wurde: Mails von {base_url} kommen an.

Antworten gehen an {contact}.
""",
    ("notice", "en"): """\
Subject: {course}: {what}

{events}

Ids are looked up with `tuckshop member show`, `tuckshop key show` and `tuckshop log`. What
else comes of this kind within a quarter of an hour comes together in one mail. Who gets
these mails is set with `tuckshop notify`.
""",
    ("notice", "de"): """\
Subject: {course}: {what}

{events}

Was sich hinter den Ids verbirgt, zeigen `tuckshop member show`, `tuckshop key show` und
`tuckshop log`. Was innerhalb einer Viertelstunde dazukommt, kommt zusammen in einer Mail.
Wer diese Mails bekommt, steht in `tuckshop notify`.
""",
    ("budget", "en"): """\
Subject: {course}: {percent} % of your budget is used

Hello {name},

of {amount} that you may spend in {course} ({limit}) you have used {used}. It renews:
{renews}.

Questions? {contact}
""",
    ("budget", "de"): """\
Subject: {course}: {percent} % deines Budgets sind verbraucht

Hallo {name},

von {amount}, die du in {course} ausgeben kannst ({limit}), hast du {used} verbraucht. Es
erneuert sich: {renews}.

Fragen? {contact}
""",
}


def text_of(kind: Kind, language: Language) -> Template:
    """Our own template for this kind of mail."""
    return parse_template(_TEXTS[kind, language], kind)
