"""A sheet for the data protection impact assessment (Art. 35 GDPR): what is known is stated, judging is left to"
" people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tuckshop.services.papers import parts, recipients
from tuckshop.services.papers.conduct import conduct_of
from tuckshop.services.papers.document import Block, Heading, Items, Para, Rows
from tuckshop.services.papers.facts import Facts
from tuckshop.services.papers.language import Tongue
from tuckshop.services.papers.measures import measures


class _Risk(NamedTuple):
    what: str
    against: str  # what is in force


def dpia(facts: Facts, t: Tongue) -> Iterator[Block]:
    """The sheet."""
    yield from parts.head(
        facts,
        t,
        t(
            "Data protection impact assessment (Art. 35 GDPR): working sheet",
            "Datenschutz-Folgenabschätzung (Art. 35 DSGVO): Arbeitsblatt",
        ),
    )
    yield parts.responsible(facts.stated, t)
    yield Heading(t("1. Is one needed?", "1. Erforderlichkeit (Schwellwertanalyse)"))
    yield Rows(
        [t("Criterion", "Kriterium"), t("As configured", "Nach geltender Konfiguration")],
        _threshold(facts, t),
    )
    yield Para(
        t("Result: ", "Ergebnis: ")
        + t.fill(
            "needed or not, with reasons; lists of the supervisory authority (Art. 35(4))",
            "erforderlich oder nicht, mit Begründung; Liste der Aufsichtsbehörde (Art. 35 Abs. 4 DSGVO)",
        )
    )
    yield Heading(
        t(
            "2. Description of the processing (Art. 35(7)(a))",
            "2. Beschreibung der Verarbeitung (Art. 35 Abs. 7 Buchst. a)",
        )
    )
    yield Items(
        [
            t("Purpose: ", "Zweck: ") + parts.purpose(facts.stated, t),
            t("Legal basis: ", "Rechtsgrundlage: ") + parts.legal_basis(facts.stated, t),
            t(
                f"People concerned: {t.members(facts.members)} of {t.groups(len(facts.conducts))}",
                f"Betroffene Personen: {t.members(facts.members)} in {t.groups(len(facts.conducts))}",
            ),
        ]
    )
    yield Rows(
        [t("Category", "Kategorie"), t("Data", "Daten")],
        [list(row) for row in parts.categories(facts, t)],
    )
    level = 3 if facts.group is None else None
    for one in facts.conducts:
        yield from conduct_of(one, t, level=level)
    yield from recipients.providers(facts, t)
    yield recipients.recipients(facts, t)
    yield parts.periods(facts, t)
    yield Heading(
        t(
            "3. Necessity and proportionality (Art. 35(7)(b))",
            "3. Notwendigkeit und Verhältnismäßigkeit (Art. 35 Abs. 7 Buchst. b)",
        )
    )
    yield Items(_necessity(facts, t))
    yield Heading(
        t(
            "4. Risks (Art. 35(7)(c)) and measures",
            "4. Risiken (Art. 35 Abs. 7 Buchst. c) und Abhilfe",
        )
    )
    rest = t.fill("likelihood, severity", "Eintrittswahrscheinlichkeit, Schwere")
    yield Rows(
        [
            t("Risk", "Risiko"),
            t("In force against it", "Vorhandene Abhilfemaßnahmen"),
            t("What remains", "Restrisiko"),
        ],
        [[risk.what, risk.against, rest] for risk in _risks(facts, t)],
    )
    yield Heading(
        t(
            "5. Measures in force (Art. 35(7)(d), Art. 32)",
            "5. Vorhandene Maßnahmen (Art. 35 Abs. 7 Buchst. d, Art. 32)",
        )
    )
    yield Items(measures(facts, t))
    yield Heading(t("6. Known limits", "6. Bekannte Grenzen"))
    yield Items(_limits(t))
    yield Heading(t("7. Advice and decision", "7. Beteiligung und Entscheidung"))
    yield Items(
        [
            t(
                "Advice of the data protection officer (Art. 35(2)): ",
                "Rat der datenschutzbeauftragten Person (Art. 35 Abs. 2): ",
            )
            + t.fill("text, date", "Text, Datum"),
            t(
                "Views of those concerned or of their councils (Art. 35(9)): ",
                "Standpunkt der Betroffenen bzw. ihrer Vertretungen, Personalrat (Art. 35 Abs. 9): ",
            )
            + t.fill("text, date", "Text, Datum"),
            t("Decision of the controller: ", "Entscheidung des Verantwortlichen: ")
            + t.fill(
                "decision, conditions, date, signature",
                "Entscheidung, Auflagen, Datum, Unterschrift",
            ),
            t("To be looked at again: ", "Nächste Überprüfung: ")
            + t.fill(
                "date, and whenever this sheet changes",
                "Datum sowie bei jeder Änderung dieses Arbeitsblatts",
            ),
        ]
    )


def _threshold(facts: Facts, t: Tongue) -> list[list[str]]:
    def yes_no(holds: bool) -> str:
        return t("yes", "ja") if holds else t("no", "nein")

    all_kept = any(one.logging.bodies == "all" for one in facts.conducts)
    pauses = any(one.strikes is not None and one.strikes.pause != "none" for one in facts.conducts)
    return [
        [
            t(
                "Contents of all calls are kept in some group",
                "Speicherung der Inhalte aller Aufrufe in mindestens einer Gruppe",
            ),
            yes_no(all_kept),
        ],
        [
            t("Contents are checked by machine", "Automatisierte Prüfung von Inhalten"),
            yes_no(facts.flags),
        ],
        [
            t("Access is paused by machine", "Automatische Sperre des Zugangs"),
            yes_no(pauses),
        ],
        [
            t(
                "Sensitive data, or data of third persons, may be entered",
                "Eingabe besonderer Kategorien oder von Daten Dritter möglich",
            ),
            t("yes, in free text", "ja, im Freitext"),
        ],
        [
            t(
                "People who depend on the controller (students, employees)",
                "Schutzbedürftige oder abhängige Personen (Studierende, Beschäftigte)",
            ),
            t.fill("whom", "Personenkreis"),
        ],
        [
            t(
                "New technology (generative AI by third parties)",
                "Neue Technologie (generative KI Dritter)",
            ),
            yes_no(any(not one.is_here for one in facts.upstreams)),
        ],
        [
            t("Size", "Umfang"),
            t.members(facts.members),
        ],
    ]


def _necessity(facts: Facts, t: Tongue) -> list[str]:
    found = [
        t(
            "Without a personal key nobody can have a budget of their own, and misuse by one person stops all;"
            " one key for all"
            " is no milder means that serves as well.",
            "Ohne persönlichen Schlüssel sind weder individuelle Budgets noch die Sperre Einzelner bei"
            " Missbrauch möglich; ein"
            " gemeinsamer Schlüssel wäre kein milderes, gleich geeignetes Mittel.",
        )
    ]
    for one in facts.conducts:
        if one.logging.bodies == "all":
            found.append(
                t(
                    "Keeping the contents of all calls needs its own reasons, since keeping only flagged ones is"
                    " possible: ",
                    "Die Speicherung der Inhalte aller Aufrufe bedarf besonderer Begründung, da eine Beschränkung auf"
                    " beanstandete Aufrufe möglich wäre: ",
                )
                + t.fill("reasons", "Begründung")
                + parts.of_group(facts, one)
            )
        if one.logging.bodies != "off" and one.logging.days > 30:
            found.append(
                t(
                    f"Contents are kept longer than the usual 30 days ({t.days(one.logging.days)}): ",
                    f"Inhalte werden länger als die üblichen 30 Tage gespeichert ({t.days(one.logging.days)}): ",
                )
                + t.fill("reasons", "Begründung")
                + parts.of_group(facts, one)
            )
    found.append(
        t(
            "Flags, use and costs must not be used to grade, rank or monitor people; where they were, the AI Act"
            " (Annex III 3)"
            " and labour law would apply.",
            "Beanstandungen, Nutzungsumfang und Kosten dürfen nicht zur Bewertung, Rangbildung oder Überwachung"
            " verwendet werden;"
            " andernfalls wären die KI-Verordnung (Anhang III Nr. 3) und das Mitbestimmungsrecht zu beachten.",
        )
    )
    return found


def _risks(facts: Facts, t: Tongue) -> list[_Risk]:
    found = [
        _Risk(
            t(
                "Confidential contents reach the provider",
                "Vertrauliche Inhalte gelangen zum Anbieter",
            ),
            t(
                "notice to users; pseudonym in place of the person; contract with the provider",
                "Hinweis an Nutzende; Pseudonym statt Personenbezug; Vertrag mit dem Anbieter",
            )
            + (
                t(
                    "; patterns of personal data are looked for",
                    "; Erkennung personenbezogener Muster",
                )
                if any(one.rules.pii for one in facts.conducts)
                else ""
            ),
        ),
        _Risk(
            t(
                "Use is watched to judge people",
                "Nutzungsdaten werden zur Leistungs- oder Verhaltenskontrolle verwendet",
            ),
            t(
                "roles, sums in place of contents, audit trail",
                "Rollenkonzept, Summen statt Inhalte, Änderungsprotokoll",
            )
            + (
                t("; pseudonyms towards staff", "; Pseudonyme gegenüber dem Personal")
                if any(one.pseudonyms for one in facts.conducts)
                else t("; staff see names", "; Personal sieht Klarnamen")
            ),
        ),
        _Risk(
            t("A key is stolen", "Ein Schlüssel wird entwendet"),
            t(
                "a key spends and shows numbers only; digests; revoking counts from the next call on; budget",
                "Schlüssel eröffnet nur Nutzung und Zahlen; Speicherung als Prüfwert; Widerruf wirkt ab dem"
                " nächsten Aufruf;"
                " Budget",
            ),
        ),
        _Risk(
            t("The server or a backup is stolen", "Server oder Sicherungskopie werden entwendet"),
            t(
                "keys of persons lie apart; credentials are closed; encrypted disk: ",
                "Personenschlüssel getrennt gespeichert; Zugangsdaten verschlüsselt; Festplattenverschlüsselung: ",
            )
            + t.fill("yes or no", "ja oder nein"),
        ),
    ]
    if facts.flags:
        found.append(
            _Risk(
                t("Somebody is wrongly flagged", "Unberechtigte Beanstandung"),
                t(
                    "a person decides; the member may answer; no consequence by itself",
                    "Entscheidung durch Menschen; Möglichkeit zur Stellungnahme",
                )
                + (
                    t(
                        " but the provisional pause named above",
                        "; vorläufige Sperre wie oben beschrieben",
                    )
                    if any(
                        one.strikes is not None and one.strikes.pause != "none"
                        for one in facts.conducts
                    )
                    else ""
                ),
            )
        )
    if facts.keeps_contents:
        found.append(
            _Risk(
                t(
                    "Kept contents are read without need",
                    "Unbefugte Einsicht in gespeicherte Inhalte",
                ),
                t(
                    "readers by role, reason and record of every reading, days, closed with each person's key",
                    "Einsicht nur nach Rolle, Grund und Protokollierung je Einsicht, Löschfrist, Verschlüsselung"
                    " je Person",
                ),
            )
        )
    return found


def _limits(t: Tongue) -> list[str]:
    return [
        t(
            "Times of answers, and counts of cached tokens, can hint that somebody else of the account asked the"
            " same before.",
            "Antwortzeiten und Zählungen zwischengespeicherter Token können darauf hindeuten, dass eine"
            " gleichlautende Eingabe"
            " über dasselbe Konto bereits erfolgt ist.",
        ),
        t(
            "What the provider keeps cannot be deleted from here; it goes by the provider's terms.",
            "Beim Anbieter gespeicherte Daten können von hier aus nicht gelöscht werden; es gelten dessen"
            " Bedingungen.",
        ),
        t(
            "Moderation and patterns err both ways.",
            "Moderation und Mustererkennung sind in beide Richtungen fehleranfällig.",
        ),
        t(
            "Whoever administers the machine can read what passes through its memory.",
            "Wer den Rechner administriert, kann den Arbeitsspeicher und damit laufende Aufrufe einsehen.",
        ),
        t(
            "Files that staff exported lie outside of all this.",
            "Von Personal exportierte Dateien unterliegen diesen Maßnahmen nicht.",
        ),
    ]
