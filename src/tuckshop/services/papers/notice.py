"""What people are told when they get a key (Art. 13 GDPR)."""

from __future__ import annotations

from collections.abc import Iterator

from tuckshop.services.papers import parts, recipients
from tuckshop.services.papers.conduct import conduct_of
from tuckshop.services.papers.document import Block, Heading, Items, Para, Rows
from tuckshop.services.papers.facts import Facts
from tuckshop.services.papers.language import Tongue


def notice(facts: Facts, t: Tongue) -> Iterator[Block]:
    """The privacy notice."""
    yield from parts.head(
        facts, t, t("Privacy notice (Art. 13 GDPR)", "Datenschutzerklärung (Art. 13 DSGVO)")
    )
    yield Heading(t("1. Who is responsible", "1. Verantwortlicher und Kontakt"))
    yield parts.responsible(facts.stated, t)
    yield Heading(t("2. What for, and on what ground", "2. Zwecke und Rechtsgrundlage"))
    yield Items(
        [
            t("Purpose: ", "Zweck: ") + parts.purpose(facts.stated, t),
            t(
                "To this end calls to language models are passed on by a personal key, their cost is counted"
                " against a"
                " budget, and the shared access to the provider is protected from misuse.",
                "Dazu werden Aufrufe von Sprachmodellen über einen persönlichen Schlüssel weitergeleitet, deren"
                " Kosten auf"
                " ein Budget angerechnet und der gemeinsame Zugang beim Anbieter vor Missbrauch geschützt.",
            ),
            t("Legal basis: ", "Rechtsgrundlage: ") + parts.legal_basis(facts.stated, t),
        ]
    )
    yield Heading(t("3. Which data", "3. Verarbeitete Daten"))
    yield Rows(
        [t("Category", "Kategorie"), t("Data", "Daten")],
        [list(row) for row in parts.categories(facts, t)],
    )
    yield Para(
        t(
            "Most of it comes from the use itself; identifier, name and address come from the institution."
            " Without these data"
            " no key can be given; whether you use it is up to you unless your course or your work demands it.",
            "Die Daten entstehen überwiegend bei der Nutzung; Kennung, Name und E-Mail-Adresse stammen von der"
            " Einrichtung."
            " Ohne diese Angaben kann kein Schlüssel ausgegeben werden; die Nutzung ist freiwillig, soweit"
            " Lehrveranstaltung"
            " oder Tätigkeit sie nicht voraussetzen.",
        )
    )
    yield Heading(
        t(
            "4. What is kept of calls, what is checked, who reads it",
            "4. Speicherung, Prüfung und Einsicht",
        )
    )
    level = 3 if facts.group is None else None
    for one in facts.conducts:
        yield from conduct_of(one, t, level=level)
    yield Para(
        t(
            "Do not enter data of other people, nor particularly sensitive data (Art. 9 GDPR: health, religion,"
            " political"
            " opinions and the like), unless you are allowed to and must.",
            "Geben Sie keine Daten anderer Personen und keine besonderen Kategorien personenbezogener Daten"
            " (Art. 9 DSGVO, z. B."
            " Gesundheit, Religion, politische Meinungen) ein, sofern Sie dazu nicht befugt sind und es nicht"
            " erforderlich ist.",
        )
    )
    yield Heading(t("5. Who receives data", "5. Empfänger"))
    yield from recipients.providers(facts, t)
    yield recipients.recipients(facts, t)
    yield Heading(t("6. How long", "6. Speicherdauer"))
    yield parts.periods(facts, t)
    yield Heading(t("7. Automatic decisions", "7. Automatisierte Entscheidungen"))
    yield Para(_decisions(facts, t))
    yield Heading(t("8. Your rights", "8. Ihre Rechte"))
    yield Items(_rights(facts, t))


def _decisions(facts: Facts, t: Tongue) -> str:
    told = t(
        "A call is refused automatically when a budget or a rate is used up, or when it breaks a rule named"
        " above. There is no"
        " automated decision with legal or similarly significant effect (Art. 22 GDPR), no profiling, and no"
        " scoring or"
        " ranking of people: what is counted and flagged is no measure of performance.",
        "Ein Aufruf wird automatisch abgewiesen, wenn ein Budget oder eine Nutzungsgrenze erreicht ist oder eine"
        " der oben"
        " genannten Regeln verletzt wird. Eine automatisierte Entscheidung mit rechtlicher oder ähnlich"
        " erheblicher Wirkung"
        " (Art. 22 DSGVO), ein Profiling sowie eine Bewertung oder Rangbildung von Personen finden nicht statt:"
        " Zählungen und"
        " Beanstandungen dienen nicht der Leistungs- oder Verhaltenskontrolle.",
    )
    if any(one.strikes is not None and one.strikes.pause != "none" for one in facts.conducts):
        told += t(
            " A pause after several flags is provisional; a person decides.",
            " Eine Sperre nach mehreren Beanstandungen ist vorläufig; es entscheidet ein Mensch.",
        )
    return told


def _rights(facts: Facts, t: Tongue) -> list[str]:
    contact = t.given(
        facts.stated.contact,
        "contact of section 1",
        "Kontakt aus Abschnitt 1",
    )
    own = t(
        "With your key you see at any time what it used and cost, and what is kept of calls (GET /api/v1/me);"
        " this notice is"
        " at GET /api/v1/me/notice.",
        "Mit Ihrem Schlüssel können Sie jederzeit Nutzung, Kosten und die Speicherregeln abrufen (GET"
        " /api/v1/me); diese"
        " Datenschutzerklärung steht unter GET /api/v1/me/notice.",
    )
    return [
        t(
            f"Access, and a copy of everything about you over all groups (Art. 15), in a machine-readable form"
            f" too (Art. 20"
            f" where it applies): write to {contact}. You get an answer within a month.",
            "Auskunft und Kopie aller zu Ihrer Person gespeicherten Daten über alle Gruppen hinweg (Art. 15"
            " DSGVO), auch in"
            f" maschinenlesbarer Form (soweit anwendbar Art. 20 DSGVO): auf Antrag bei {contact}; Antwort"
            f" innerhalb eines"
            " Monats.",
        ),
        t(
            "Rectification (Art. 16), and erasure (Art. 17): contents and whatever leads to you are deleted, and"
            " the key that"
            " closes contents is destroyed, so that these cannot be read in older copies either. Sums without a"
            " name stay;"
            " backups that hold your name last as long as section 6 says.",
            "Berichtigung (Art. 16 DSGVO) und Löschung (Art. 17 DSGVO): Inhalte und alle Zuordnungen zu Ihrer"
            " Person werden"
            " gelöscht und der Schlüssel vernichtet, mit dem Inhalte verschlossen sind, sodass diese auch in"
            " älteren Kopien nicht"
            " mehr lesbar sind. Summen ohne Namensbezug bleiben bestehen; Sicherungskopien mit Ihrem Namen"
            " bestehen für die in"
            " Abschnitt 6 genannte Dauer fort.",
        ),
        t(
            "Restriction (Art. 18): what is kept is then neither deleted nor read in the normal course.",
            "Einschränkung der Verarbeitung (Art. 18 DSGVO): Gespeichertes wird dann weder gelöscht noch im"
            " Regelbetrieb"
            " eingesehen.",
        ),
        t(
            "Objection on grounds of your particular situation (Art. 21).",
            "Widerspruch aus Gründen, die sich aus Ihrer besonderen Situation ergeben (Art. 21 DSGVO).",
        ),
        t(
            "A complaint to the supervisory authority named in section 1 (Art. 77).",
            "Beschwerde bei der in Abschnitt 1 genannten Aufsichtsbehörde (Art. 77 DSGVO).",
        ),
        own,
    ]
