"""The record of processing activities (Art. 30(1) GDPR)."""

from __future__ import annotations

from collections.abc import Iterator

from tuckshop.services.papers import parts, recipients
from tuckshop.services.papers.conduct import conduct_of
from tuckshop.services.papers.document import Block, Heading, Items, Para, Rows
from tuckshop.services.papers.facts import Facts
from tuckshop.services.papers.language import Tongue
from tuckshop.services.papers.measures import measures


def record(facts: Facts, t: Tongue) -> Iterator[Block]:
    """One processing activity, by the letters of Art. 30(1)."""
    yield from parts.head(
        facts,
        t,
        t(
            "Record of processing activities (Art. 30(1) GDPR)",
            "Verzeichnis von Verarbeitungstätigkeiten (Art. 30 Abs. 1 DSGVO)",
        ),
    )
    yield Heading(t("(a) Controller", "a) Verantwortlicher"))
    yield parts.responsible(facts.stated, t)
    yield Heading(t("(b) Purposes and ground", "b) Zwecke und Rechtsgrundlage"))
    yield Items(
        [
            parts.purpose(facts.stated, t),
            t(
                "Passing on calls to language models, keeping budgets, protecting the shared access from misuse,"
                " accounting.",
                "Weiterleitung von Aufrufen an Sprachmodelle, Einhaltung von Budgets, Schutz des gemeinsamen"
                " Zugangs vor"
                " Missbrauch, Abrechnung.",
            ),
            t("Legal basis: ", "Rechtsgrundlage: ") + parts.legal_basis(facts.stated, t),
        ]
    )
    yield Heading(
        t(
            "(c) Categories of people and of data",
            "c) Kategorien betroffener Personen und personenbezogener Daten",
        )
    )
    people = [
        t(
            f"{t.members(facts.members)} (who hold keys), in {t.groups(len(facts.conducts))}",
            f"{t.members(facts.members)} mit eigenem Schlüssel, in {t.groups(len(facts.conducts))}",
        ),
        t(
            f"Staff (tokens that open: {sum(facts.staff.values())}), and the operator",
            f"Personal (gültige Zugänge: {sum(facts.staff.values())}) sowie der Betreiber",
        ),
        t(
            "Third persons, as far as somebody enters data about them",
            "Dritte, soweit Nutzende Angaben über sie eingeben",
        ),
    ]
    if facts.archived:
        people.append(
            t(
                f"Members of archived groups ({facts.archived}) whose people were not erased yet",
                f"Mitglieder archivierter Gruppen ({facts.archived}), deren Personendaten noch nicht gelöscht sind",
            )
        )
    yield Items(people)
    yield Rows(
        [t("Category", "Kategorie"), t("Data", "Daten")],
        [list(row) for row in parts.categories(facts, t)],
    )
    level = 3 if facts.group is None else None
    for one in facts.conducts:
        yield from conduct_of(one, t, level=level)
    yield Heading(
        t(
            "(d), (e) Recipients, third countries",
            "d), e) Empfänger, Übermittlung in Drittländer",
        )
    )
    yield from recipients.providers(facts, t)
    yield recipients.recipients(facts, t)
    yield Heading(t("(f) Time limits for erasure", "f) Fristen für die Löschung"))
    yield parts.periods(facts, t)
    yield Heading(
        t(
            "(g) Technical and organisational measures (Art. 32)",
            "g) Technische und organisatorische Maßnahmen (Art. 32 DSGVO)",
        )
    )
    yield Items(measures(facts, t))
    yield Para(
        t("Entered and checked by: ", "Erfasst und geprüft durch: ")
        + t.fill("name, date", "Name, Datum")
    )
