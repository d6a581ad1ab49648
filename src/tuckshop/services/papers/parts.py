"""What several papers have in common: who is responsible, which data there are, and how long everything is kept."""

from __future__ import annotations

from collections.abc import Iterator

from tuckshop.domain.privacy import PrivacyStatement
from tuckshop.services.papers.document import Block, Heading, Para, Rows, said
from tuckshop.services.papers.facts import Conduct, Facts
from tuckshop.services.papers.language import Tongue


def head(facts: Facts, t: Tongue, title: str) -> Iterator[Block]:
    """Title, what it is about, and that it was written from what is in force."""
    about = (
        t("all groups of this server", "alle Gruppen dieses Servers")
        if facts.group is None
        else t(f"the group {said(facts.group)}", f"die Gruppe {said(facts.group)}")
    )
    at = t(f" at {facts.around.public_url}", f" unter {facts.around.public_url}")
    yield Heading(title, 1)
    yield Para(
        t(
            f"Access to language models by personal keys (tuckshop"
            f" {facts.version}){at if facts.around.public_url else ''}."
            f" About {about}. Written on {t.date(facts.made_on)} from what was in force then.",
            f"Zugang zu Sprachmodellen über persönliche Schlüssel (tuckshop {facts.version})"
            f"{at if facts.around.public_url else ''}. Geltungsbereich: {about}. Erzeugt am"
            f" {t.date(facts.made_on)} aus"
            f" der zu diesem"
            " Zeitpunkt geltenden Konfiguration.",
        )
    )


def responsible(stated: PrivacyStatement, t: Tongue) -> Rows:
    """Who is, whom to write to, and where to complain."""
    return Rows(
        ["", ""],
        [
            [
                t("Controller (Art. 4(7) GDPR)", "Verantwortlicher (Art. 4 Nr. 7 DSGVO)"),
                t.given(stated.controller, "name and address", "Name und Anschrift"),
            ],
            [
                t("Represented by", "Vertreten durch"),
                t.given(stated.representative, "who acts for it", "vertretungsberechtigte Person"),
            ],
            [
                t("Contact for this service", "Ansprechstelle für diesen Dienst"),
                t.given(stated.contact, "office, e-mail address", "Stelle, E-Mail-Adresse"),
            ],
            [
                t("Data protection officer", "Datenschutzbeauftragte Person"),
                t.given(stated.officer, "name, contact", "Name, Kontaktdaten"),
            ],
            [
                t("Supervisory authority", "Zuständige Aufsichtsbehörde"),
                t.given(stated.authority, "authority, with address", "Behörde mit Anschrift"),
            ],
        ],
    )


def purpose(stated: PrivacyStatement, t: Tongue) -> str:
    """What calls are served for."""
    return t.given(
        stated.purpose,
        "what the service is offered for, such as teaching and research",
        "Zweck des Angebots, etwa Lehre und Forschung",
    )


def legal_basis(stated: PrivacyStatement, t: Tongue) -> str:
    """The ground of it all."""
    return t.given(
        stated.legal_basis,
        "legal basis; at public universities mostly Art. 6(1)(e) GDPR with the law of the state",
        "Rechtsgrundlage; an öffentlichen Hochschulen in der Regel Art. 6 Abs. 1 Buchst. e DSGVO in Verbindung"
        " mit dem"
        " Landesrecht",
    )


def categories(facts: Facts, t: Tongue) -> list[tuple[str, str]]:
    """(kind of data, what it is), as far as it is processed at all."""
    found = [
        (
            t("Master data", "Stammdaten"),
            t(
                "identifier in the institution (such as a matriculation number); name and e-mail address where"
                " they were"
                " entered; group",
                "Kennung in der Einrichtung (z. B. Matrikelnummer); Name und E-Mail-Adresse, soweit erfasst;"
                " Gruppenzugehörigkeit",
            ),
        ),
        (
            t("Keys", "Zugangsschlüssel"),
            t(
                "a digest (SHA-256) and the last four characters of each key, its name, state and expiry; the"
                " key itself is"
                " not kept",
                "Prüfwert (SHA-256) und die letzten vier Zeichen jedes Schlüssels, Bezeichnung, Status und"
                " Ablauf; der"
                " Schlüssel selbst wird nicht gespeichert",
            ),
        ),
        (
            t("Request log", "Aufrufprotokoll"),
            t(
                "of each call: time, member, key, group, endpoint, model, upstream, numbers of tokens, cost,"
                " duration,"
                " outcome, a tag that the caller set, and the provider's id of the call; no contents",
                "zu jedem Aufruf: Zeitpunkt, Mitglied, Schlüssel, Gruppe, Endpunkt, Modell, Anbieterkonto,"
                " Anzahl der Token,"
                " Kosten, Dauer, Ergebnis, eine vom Aufrufenden gesetzte Markierung sowie die Vorgangskennung"
                " des Anbieters;"
                " keine Inhalte",
            ),
        ),
        (
            t("Network", "Netzherkunft"),
            t(
                f"a keyed digest of the /24 or /48 network that a call came from, for"
                f" {t.days(facts.kept.networks)}; the"
                " address itself is not kept",
                f"schlüsselabhängiger Prüfwert des Netzes (/24 bzw. /48), aus dem ein Aufruf kam, für"
                f" {t.days(facts.kept.networks)}; die IP-Adresse selbst wird nicht gespeichert",
            ),
        ),
        (
            t("Contents", "Inhalte"),
            t(
                "prompts, files and images in them, answers: passed on to the provider",
                "Eingaben (Prompts) einschließlich enthaltener Dateien und Bilder sowie Antworten: Weiterleitung"
                " an den"
                " Anbieter",
            )
            + (
                t("; and kept, see below", "; außerdem Speicherung, siehe unten")
                if facts.keeps_contents
                else t("; not kept", "; keine Speicherung")
            ),
        ),
    ]
    if facts.flags:
        found.append(
            (
                t("Flags", "Beanstandungen"),
                t(
                    "which rule or category was met by which call, with scores and a keyed digest of the"
                    " content, and what"
                    " members and staff say to it",
                    "welche Regel oder Kategorie bei welchem Aufruf erfüllt war, mit Bewertungszahlen und"
                    " schlüsselabhängigem"
                    " Prüfwert des Inhalts, sowie Stellungnahmen von Mitgliedern und Personal",
                ),
            )
        )
    if facts.writes_mails:
        found.append(
            (
                t("Mails", "E-Mails"),
                t(
                    "to whom which kind of mail was sent, when, and whether it arrived at the mail server",
                    "Empfänger, Art und Zeitpunkt versandter Nachrichten sowie Annahme durch den Mailserver",
                ),
            )
        )
    found.append(
        (
            t("Audit trail", "Änderungsprotokoll"),
            t(
                "what staff changed, read or searched, when and why; with ids, and words about a person only"
                " enciphered",
                "welche Änderungen, Einsichtnahmen und Suchen das Personal wann und weshalb vorgenommen hat; mit"
                " internen"
                " Kennungen, personenbezogene Angaben nur verschlüsselt",
            ),
        )
    )
    return found


def periods(facts: Facts, t: Tongue) -> Rows:
    """How long everything is kept."""
    kept = facts.kept
    rows = [
        [
            t("Master data, keys", "Stammdaten, Zugangsschlüssel"),
            t(
                "until they are erased: at the end of the term or project, or on request",
                "bis zur Löschung nach Ende der Veranstaltung bzw. des Projekts oder auf Antrag",
            ),
        ],
        *(
            [
                t("Request log, flags", "Aufrufprotokoll, Beanstandungen") + of_group(facts, one),
                t(
                    f"{t.days(one.log_days)}, then sums per member, key, model and month",
                    f"{t.days(one.log_days)}, danach Summen je Mitglied, Schlüssel, Modell und Monat",
                ),
            ]
            for one in facts.conducts
        ),
        *(
            [
                t("Contents", "Inhalte") + of_group(facts, one),
                t("not kept", "keine Speicherung")
                if one.logging.bodies == "off"
                else t.days(one.logging.days),
            ]
            for one in facts.conducts
        ),
        [
            t("Digest of the network", "Prüfwert der Netzherkunft"),
            t.days(kept.networks),
        ],
        [
            t("Answers to repeated calls of staff", "Antworten auf wiederholte Verwaltungsaufrufe"),
            t.days(kept.repeats),
        ],
        [
            t("Notices to staff", "Benachrichtigungen an das Personal"),
            t.days(kept.notices),
        ],
    ]
    if facts.writes_mails:
        rows += [
            [t("Mails", "E-Mail-Versand (Protokoll)"), t.days(kept.mails)],
            [
                t("Links by mail", "Gültigkeit versandter Links"),
                t(
                    f"{t.days(kept.links)}, or until used",
                    f"{t.days(kept.links)} oder bis zur Nutzung",
                ),
            ],
        ]
    if facts.webhooks:
        rows.append(
            [
                t("Deliveries to other programs", "Übermittlungen an andere Programme (Protokoll)"),
                t.days(kept.deliveries),
            ]
        )
    rows += [
        [
            t("Audit trail", "Änderungsprotokoll"),
            t(
                "as long as the server's ledger; words about a person until that person is erased",
                "für die Dauer des Betriebs; personenbezogene Angaben darin bis zur Löschung der betroffenen Person",
            ),
        ],
        [
            t("Sums after an erasure", "Summen nach einer Löschung"),
            t(
                "without a name; until the group is erased, with a keyed digest of the identifier, so that"
                " whoever comes"
                " back meets what was spent",
                "ohne Namensbezug; bis zur Löschung der Gruppe mit einem schlüsselabhängigen Prüfwert der"
                " Kennung, damit"
                " bereits verbrauchtes Budget bei einer Rückkehr angerechnet wird",
            ),
        ],
        [
            t(
                "Log of the server (faults; addresses of whoever tries the administration without a credential)",
                "Betriebsprotokoll des Servers (Störungen; IP-Adressen bei Verwaltungszugriffen ohne gültigen"
                " Zugang)",
            ),
            t.given(
                facts.stated.logs,
                "how long the machine keeps it; days, not months",
                "Aufbewahrungsdauer auf dem Rechner; Tage, nicht Monate",
            ),
        ],
        [
            t("Backups", "Sicherungskopien"),
            t.given(
                facts.stated.backups,
                "where copies lie and how long they are kept; keys of persons at most 30 days",
                "Ort und Aufbewahrungsdauer der Sicherungen; Personenschlüssel höchstens 30 Tage",
            ),
        ],
    ]
    return Rows([t("What", "Gegenstand"), t("How long", "Speicherdauer")], rows)


def of_group(facts: Facts, one: Conduct) -> str:
    """Whose it is, where a paper is about several groups."""
    return "" if facts.group is not None else f" ({said(one.shown)})"
