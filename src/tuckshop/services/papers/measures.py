"""Technical and organisational measures (Art. 32 GDPR), those that are in force."""

from __future__ import annotations

from tuckshop.services.papers.facts import Facts
from tuckshop.services.papers.language import Tongue


def measures(facts: Facts, t: Tongue) -> list[str]:
    """One sentence for each."""
    hidden = [one for one in facts.conducts if one.pseudonyms]
    found = [
        t(
            "Pseudonyms towards providers: keyed digests whose secret lies outside the database; only owners and"
            " the operator"
            " may look one up, with a reason, which is recorded.",
            "Pseudonymisierung gegenüber Anbietern: schlüsselabhängige Prüfwerte, deren Geheimnis außerhalb der"
            " Datenbank"
            " liegt; eine Auflösung ist nur Verantwortlichen und dem Betreiber mit protokolliertem Grund möglich.",
        ),
        t(
            "Encryption at rest: contents and words about a person are closed with a key of each person, which"
            " lies in a file"
            " of its own; credentials of providers with a key outside the database.",
            "Verschlüsselung gespeicherter Daten: Inhalte und Freitexte zu einer Person mit einem eigenen"
            " Schlüssel je Person in"
            " einer gesonderten Datei; Zugangsdaten der Anbieter mit einem Schlüssel außerhalb der Datenbank.",
        ),
        t(
            "Erasure by deleting names and destroying that key: what was closed with it can then not be read in"
            " older copies"
            " either. A restore applies erasures again before it serves; names in older backups last as long as"
            " these.",
            "Löschung durch Entfernen der Namen und Vernichtung dieses Schlüssels: Damit Verschlossenes ist"
            " danach auch in älteren"
            " Kopien nicht mehr lesbar. Nach einer Wiederherstellung werden Löschungen vor der Inbetriebnahme"
            " erneut vollzogen;"
            " Namen in älteren Sicherungen bestehen bis zu deren Löschung fort.",
        ),
        t(
            "Roles: viewer, assistant, owner, each bound to their groups; the operator alone reaches all of them.",
            "Rollenkonzept: Einsicht, Assistenz, Verantwortliche, jeweils beschränkt auf ihre Gruppen; nur der"
            " Betreiber erreicht"
            " alle Gruppen.",
        ),
        t(
            "Reading contents, or finding out who somebody is, needs a reason and leaves a row in an audit trail"
            " that is"
            " chained by digests, so that tampering shows.",
            "Einsicht in Inhalte und die Zuordnung zu einer Person setzen einen Grund voraus und werden in einem"
            " durch Prüfwerte"
            " verketteten Änderungsprotokoll festgehalten, das nachträgliche Veränderungen erkennen lässt.",
        ),
        t(
            "Data minimisation: keys as digests only, networks as keyed digests only, no contents and no names"
            " in logs, metrics"
            " and error messages.",
            "Datenminimierung: Schlüssel nur als Prüfwerte, Netzherkunft nur als schlüsselabhängiger Prüfwert;"
            " keine Inhalte und"
            " keine Namen in Betriebsprotokollen, Messwerten und Fehlermeldungen.",
        ),
        t(
            "Deletion by itself when the days are over, by overwriting in all files of the database.",
            "Selbsttätige Löschung nach Ablauf der Fristen durch Überschreiben in allen Dateien der Datenbank.",
        ),
        _transport(facts, t),
    ]
    if hidden:
        where = (
            ""
            if len(hidden) == len(facts.conducts)
            else t(
                f" ({len(hidden)} of {len(facts.conducts)} groups)",
                f" ({len(hidden)} von {len(facts.conducts)} Gruppen)",
            )
        )
        found.append(
            t(
                f"Pseudonyms towards staff{where}.",
                f"Pseudonymisierung gegenüber dem Personal{where}.",
            )
        )
    return found


def _transport(facts: Facts, t: Tongue) -> str:
    open_ways = [one.host for one in facts.upstreams if not one.is_encrypted and not one.is_here]
    if facts.around.mail_host is not None and not facts.around.mail_is_encrypted:
        open_ways.append(facts.around.mail_host)
    if open_ways:
        return t(
            f"Encryption in transit (TLS), but NOT to: {t.listed(open_ways)}.",
            f"Transportverschlüsselung (TLS), jedoch NICHT zu: {t.listed(open_ways)}.",
        )
    url = facts.around.public_url
    if url is None or not url.startswith("https://"):
        return t(
            "Encryption in transit (TLS) to providers and the mail server; towards callers: ",
            "Transportverschlüsselung (TLS) zu Anbietern und Mailserver; gegenüber den Aufrufenden: ",
        ) + t.fill("how callers reach the server by TLS", "Absicherung des Zugangs durch TLS")
    return t(
        "Encryption in transit (TLS) from callers, to providers and to the mail server.",
        "Transportverschlüsselung (TLS) von den Aufrufenden sowie zu Anbietern und Mailserver.",
    )
