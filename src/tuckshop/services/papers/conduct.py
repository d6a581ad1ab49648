"""What a group says of its calls, in sentences: what is kept, what is checked, which rules there are, who sees"
" names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tuckshop.domain.rules.rules import PiiAction, PiiKind
from tuckshop.services.papers.document import Block, Heading, Items, plain, said
from tuckshop.services.papers.facts import Conduct
from tuckshop.services.papers.language import Tongue

_PII: Final[dict[PiiKind, tuple[str, str]]] = {
    "credit_card": ("numbers of payment cards", "Nummern von Zahlungskarten"),
    "email": ("e-mail addresses", "E-Mail-Adressen"),
    "iban": ("account numbers (IBAN)", "Kontonummern (IBAN)"),
    "phone": ("phone numbers", "Telefonnummern"),
}
_ACTIONS: Final[dict[PiiAction, tuple[str, str]]] = {
    "block": (
        "Calls that hold {what} are refused.",
        "Aufrufe, die {what} enthalten, werden abgewiesen.",
    ),
    "flag": (
        "Calls that hold {what} go out and are noted for staff.",
        "Aufrufe, die {what} enthalten, werden ausgeführt und für das Personal vermerkt.",
    ),
    "redact": (
        "What looks like {what} is made unreadable before a call goes out.",
        "Zeichenfolgen, die wie {what} aussehen, werden vor der Weiterleitung unkenntlich gemacht.",
    ),
}


def conduct_of(one: Conduct, t: Tongue, *, level: int | None) -> Iterator[Block]:
    """All of it; below a heading of *level* where there are several groups."""
    if level is not None:
        yield Heading(said(one.shown), level)
    yield Items(
        [
            *contents(one, t),
            log(one, t),
            *checking(one, t),
            *rules(one, t),
            *strikes(one, t),
            names(one, t),
        ]
    )


def in_words(one: Conduct) -> list[str]:
    """What is checked of calls and which rules they have to keep, in English."""
    t = Tongue("en")
    return [plain(text) for text in (*checking(one, t), *rules(one, t), *strikes(one, t))]


def at_claiming(one: Conduct) -> list[str]:
    """What is kept, checked and seen of calls, in English."""
    t = Tongue("en")
    found = (*contents(one, t), log(one, t), *checking(one, t), *rules(one, t), names(one, t))
    return [plain(text) for text in found]


def contents(one: Conduct, t: Tongue) -> list[str]:
    """What is kept of prompts and answers, what for, how long, and who reads it."""
    logging = one.logging
    if logging.bodies == "off":
        return [
            t(
                "Prompts and answers are not kept. They pass through the memory of the server, and are gone from"
                " it when"
                " the call has ended.",
                "Eingaben (Prompts) und Antworten werden nicht gespeichert. Sie durchlaufen den Arbeitsspeicher des"
                " Servers und sind dort nach dem Ende des Aufrufs nicht mehr vorhanden.",
            )
        ]
    what = (
        t(
            "Prompts and answers are kept of those calls only in which a check or a rule found something; then"
            " in full,"
            " with images and data of tools.",
            "Eingaben (Prompts) und Antworten werden nur von solchen Aufrufen gespeichert, in denen eine Prüfung"
            " oder eine"
            " Regel etwas beanstandet hat; dann vollständig, einschließlich Bildern und Daten von Werkzeugen.",
        )
        if logging.bodies == "flagged"
        else t(
            "Prompts and answers of all calls are kept in full, with images and data of tools.",
            "Eingaben (Prompts) und Antworten sämtlicher Aufrufe werden vollständig gespeichert, einschließlich"
            " Bildern"
            " und Daten von Werkzeugen.",
        )
    )
    purpose = said(logging.purpose)
    return [
        what,
        t(f"They are kept for this purpose: {purpose}.", f"Zweck dieser Speicherung: {purpose}."),
        t(
            f"They are deleted {t.after_days(logging.days)}, by overwriting, unless a legal hold in a single case"
            " (Art. 18 GDPR) forbids it.",
            f"Sie werden {t.after_days(logging.days)} durch Überschreiben gelöscht, sofern nicht im Einzelfall eine"
            " Einschränkung der Verarbeitung (Art. 18 DSGVO) oder ein Rechtsstreit entgegensteht.",
        ),
        t(
            f"They may be read by {readers(one, t)}. Each time a reason has to be given; who read or searched"
            f" what, when"
            " and why, is recorded.",
            f"Lesen dürfen sie: {readers(one, t)}. Jede Einsichtnahme und jede Suche setzt die Angabe eines"
            f" Grundes voraus"
            " und wird mit Person, Zeitpunkt und Grund protokolliert.",
        ),
    ]


def readers(one: Conduct, t: Tongue) -> str:
    """Who may read what is kept."""
    return t.listed([t.role(role) for role in (*one.logging.readers, "operator")])


def log(one: Conduct, t: Tongue) -> str:
    """How long rows of the request log are kept."""
    return t(
        f"Of each call a row without any content is kept in the request log for {t.days(one.log_days)}; what was"
        f" flagged,"
        " and what was said to it, as long. Older rows become sums per member, key, model and month.",
        f"Zu jedem Aufruf wird im Aufrufprotokoll {t.days(one.log_days)} lang ein Eintrag ohne Inhalte gespeichert;"
        " Beanstandungen und Stellungnahmen dazu ebenso lange. Ältere Einträge werden zu Summen je Mitglied,"
        " Schlüssel,"
        " Modell und Monat zusammengefasst.",
    )


def checking(one: Conduct, t: Tongue) -> list[str]:
    """Whether moderation looks at calls, and what comes of it."""
    found = []
    by = t.listed([said(name) for name in one.moderators]) if one.moderators else ""
    of = t(f" (upstream: {by})", f" (Anbieterkonto: {by})") if by else ""
    about_en = " for violence, hate, self-harm, sexual contents and the like"
    about_de = "unter anderem auf Gewalt, Hass, Selbstverletzung und sexuelle Inhalte"
    if one.asked == "block":
        found.append(
            t(
                f"Before a call goes out, what it says is checked automatically by a moderation"
                f" service{of}{about_en}. What is"
                " flagged is refused and not passed on.",
                f"Vor der Weiterleitung werden die Inhalte eines Aufrufs von einem Moderationsdienst{of}"
                f" automatisch geprüft,"
                f" {about_de}. Beanstandete Aufrufe werden abgewiesen und nicht weitergeleitet.",
            )
        )
    if one.asked == "log":
        found.append(
            t(
                f"What calls say is checked automatically by a moderation service{of}{about_en}. What is flagged"
                f" is noted;"
                " nobody is refused and nothing is held up.",
                f"Die Inhalte der Aufrufe werden von einem Moderationsdienst{of} automatisch geprüft, {about_de}."
                " Beanstandungen werden vermerkt; abgewiesen oder verzögert wird nichts.",
            )
        )
    if one.answered != "off":
        found.append(
            t(
                f"Answers are checked in the same way{of}. ",
                f"Antworten werden in gleicher Weise geprüft{of}. ",
            )
            + (
                t(
                    "An answer is passed on only after its check; what is flagged is held back.",
                    "Sie werden erst nach der Prüfung weitergegeben; beanstandete Antworten werden zurückgehalten.",
                )
                if one.answered == "block"
                else t("What is flagged is noted.", "Beanstandungen werden vermerkt.")
            )
        )
    if not found:
        return [
            t(
                "Contents of calls are not checked by a moderation service of ours.",
                "Eine inhaltliche Prüfung der Aufrufe durch einen Moderationsdienst findet nicht statt.",
            )
        ]
    if one.own_thresholds:
        found.append(
            t(
                "From which score on a category counts is set by the group or the workspace, and not by the"
                " service alone.",
                "Ab welchem Wert eine Kategorie als erfüllt gilt, ist für die Gruppe oder den Arbeitsbereich eigens"
                " festgelegt.",
            )
        )
    if "block" in (one.asked, one.answered):
        found.append(_when_it_fails(one, t))
    return found


def _when_it_fails(one: Conduct, t: Tongue) -> str:
    down = (
        t(
            "While the check cannot be had, calls pass unchecked",
            "Steht die Prüfung nicht zur Verfügung, werden Aufrufe ungeprüft ausgeführt",
        )
        if one.fails_open
        else t(
            "While the check cannot be had, calls are refused",
            "Steht die Prüfung nicht zur Verfügung, werden Aufrufe abgewiesen",
        )
    )
    unreadable = (
        t("what cannot be checked passes.", "was nicht prüfbar ist, wird durchgelassen.")
        if one.passes_unreadable
        else t("what cannot be checked is refused.", "was nicht prüfbar ist, wird abgewiesen.")
    )
    return f"{down}; {unreadable}"


def rules(one: Conduct, t: Tongue) -> list[str]:
    """The group's own rules, without the words that they look for."""
    own = one.rules
    found = []
    if own.deny_words:
        count = len(own.deny_words)
        found.append(
            t(
                f"Calls that hold a word or phrase of a list of the group ({count}) are refused.",
                f"Aufrufe, die einen Ausdruck einer Sperrliste der Gruppe enthalten (Einträge: {count}), werden"
                " abgewiesen.",
            )
        )
    if own.deny_patterns:
        count = len(own.deny_patterns)
        found.append(
            t(
                f"Calls in which a pattern of the group ({count}) is found are refused.",
                f"Aufrufe, auf die ein Suchmuster der Gruppe zutrifft (Muster: {count}), werden abgewiesen.",
            )
        )
    for action, sentence in _ACTIONS.items():
        kinds = [t(*_PII[kind]) for kind, chosen in own.pii.items() if chosen == action]
        if kinds:
            found.append(t(*sentence).replace("{what}", t.listed(kinds)))
    if own.tools is not None:
        tools = t.listed([said(name) for name in own.tools]) or t("none", "keine")
        found.append(
            t(
                f"Tools that may be offered to a model: {tools}.",
                f"Werkzeuge, die einem Modell angeboten werden dürfen: {tools}.",
            )
        )
    if own.max_input_tokens is not None:
        found.append(
            t(
                f"A call may have {own.max_input_tokens:,} input tokens at most.",
                f"Ein Aufruf darf höchstens {_thousands(own.max_input_tokens)} Eingabe-Token umfassen.",
            )
        )
    if own.system_prompt is not None:
        found.append(_prompt(own.system_prompt.mode, t))
    if own.hours is not None:
        hours = t.listed([said(entry) for entry in own.hours]) or t("never", "nie")
        found.append(
            t(f"Calls are taken at these hours: {hours}.", f"Aufrufe sind möglich: {hours}.")
        )
    if own.networks is not None:
        networks = t.listed([said(entry) for entry in own.networks]) or t("none", "keine")
        found.append(
            t(
                f"Calls are taken from these networks only: {networks}. The caller's address is compared, and"
                f" not kept.",
                f"Aufrufe werden nur aus folgenden Netzen angenommen: {networks}. Die Adresse wird dafür"
                f" abgeglichen und"
                " nicht gespeichert.",
            )
        )
    return found


def _prompt(mode: str, t: Tongue) -> str:
    if mode == "enforce":
        return t(
            "An instruction of the group is put before every conversation, in place of instructions of one's own.",
            "Jeder Unterhaltung wird eine Vorgabe der Gruppe (Systemprompt) vorangestellt; eigene Vorgaben sind nicht"
            " zugelassen.",
        )
    return t(
        "An instruction of the group is put before every conversation.",
        "Jeder Unterhaltung wird eine Vorgabe der Gruppe (Systemprompt) vorangestellt.",
    )


def strikes(one: Conduct, t: Tongue) -> list[str]:
    """What comes of many flags."""
    if one.strikes is None:
        return []
    count, days = one.strikes.count, t.days(one.strikes.days)
    de_days = "eines Tages" if one.strikes.days == 1 else f"von {one.strikes.days} Tagen"
    if count == 1:
        many = t(
            f"a single flagged content of one's own within {days}",
            f"ein einziger beanstandeter eigener Inhalt innerhalb {de_days}",
        )
        told_of = f"einen einzigen beanstandeten eigenen Inhalt innerhalb {de_days}"
    else:
        many = t(
            f"{count} different flagged contents of one's own within {days}",
            f"{count} verschiedene beanstandete eigene Inhalte innerhalb {de_days}",
        )
        told_of = many
    if one.strikes.pause == "none":
        return [
            t(
                f"Staff are told of {many}; nothing is stopped by itself.",
                f"Über {told_of} wird das Personal benachrichtigt; eine automatische Sperre erfolgt nicht.",
            )
        ]
    what = (
        t("the member's access", "den Zugang des Mitglieds")
        if one.strikes.pause == "member"
        else t("the key", "den verwendeten Schlüssel")
    )
    verb = t("pauses", "führt") if count == 1 else t("pause", "führen")
    return [
        t(
            f"{many[:1].upper()}{many[1:]} {verb} {what} automatically. A person looks at it then; those"
            f" concerned may say"
            " what they think of it, and staff undo it where it was wrong.",
            f"{many[:1].upper()}{many[1:]} {verb} zu einer vorläufigen automatischen Sperre für {what}. Über deren"
            " Fortbestand entscheidet ein Mensch; Betroffene können Stellung nehmen, unberechtigte Sperren"
            " werden aufgehoben.",
        )
    ]


def names(one: Conduct, t: Tongue) -> str:
    """What staff see of who somebody is."""
    if one.pseudonyms:
        return t(
            "Staff see pseudonyms in place of identifiers, names and e-mail addresses. An owner of the group or"
            " the operator"
            " may ask who somebody is, with a reason, which is recorded.",
            "Das Personal sieht Pseudonyme anstelle von Kennungen, Namen und E-Mail-Adressen. Eine Zuordnung zur"
            " Person"
            " ist Verantwortlichen der Gruppe und dem Betreiber nur unter Angabe eines Grundes möglich und wird"
            " protokolliert.",
        )
    return t(
        "Staff of the group see members with identifier, name and e-mail address as far as these were entered,"
        " and what each"
        " of them uses and costs.",
        "Das Personal der Gruppe sieht Mitglieder mit Kennung sowie, soweit erfasst, Name und E-Mail-Adresse,"
        " einschließlich"
        " Nutzungsumfang und Kosten.",
    )


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", ".")
