"""Who receives what: providers, staff, the mail server, programs that are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tuckshop.domain.notices import NoticeKind
from tuckshop.services.papers.document import Block, Items, Para, Rows, said
from tuckshop.services.papers.facts import Facts, UpstreamFacts
from tuckshop.services.papers.language import Tongue

KINDS: Final[Mapping[NoticeKind, tuple[str, str]]] = {
    "flag": ("flags", "Beanstandungen"),
    "strike": ("pauses after flags", "Sperren nach Beanstandungen"),
    "appeal": ("what members say to flags", "Stellungnahmen zu Beanstandungen"),
    "member_budget": ("budgets of members", "Budgets von Mitgliedern"),
    "shared_budget": ("budgets of groups", "Budgets von Gruppen"),
    "upstream_refused": ("refusals by providers", "Ablehnungen durch Anbieter"),
    "revoked_key_used": ("use of revoked keys", "Verwendung widerrufener Schlüssel"),
    "unusual_spend": ("unusual spending", "ungewöhnliche Kosten"),
    "alarm": ("alarms of the server", "Störungsmeldungen des Servers"),
    "webhook_paused": ("receivers that do not answer", "nicht erreichbare Empfänger"),
}


def providers(facts: Facts, t: Tongue) -> Iterator[Block]:
    """Who gets the calls: host, company, region, contract, and what it is told."""
    if not facts.upstreams:
        yield Para(
            t(
                "No provider is set up: no call leaves this server.",
                "Es ist kein Anbieter eingerichtet: Aufrufe verlassen diesen Server nicht.",
            )
        )
        return
    for one in facts.upstreams:
        yield Rows(["", ""], [[t("Upstream", "Anbieterkonto"), said(one.name)], *_provider(one, t)])
    yield Para(
        t(
            "A provider gets what a call says: prompts, files and images in them, definitions and results of"
            " tools, model and"
            " parameters. It gets neither name nor e-mail address, identifier, key or network address of whoever"
            " calls,"
            " unless somebody writes them into a prompt.",
            "Anbieter erhalten den Inhalt des Aufrufs: Eingaben (Prompts) einschließlich enthaltener Dateien und"
            " Bilder,"
            " Beschreibungen und Ergebnisse von Werkzeugen, Modell und Parameter. Nicht übermittelt werden Name,"
            " E-Mail-Adresse, Kennung, Schlüssel und IP-Adresse der aufrufenden Person, soweit sie nicht selbst"
            " in eine"
            " Eingabe geschrieben werden.",
        )
    )
    if facts.around.has_way_out:
        yield Para(
            t(
                "Calls go to providers through a proxy, which learns the provider's name and the amount of data.",
                "Die Weiterleitung an Anbieter erfolgt über einen Proxy, der Zielrechner und Datenmenge erfährt.",
            )
        )


def _provider(one: UpstreamFacts, t: Tongue) -> list[list[str]]:
    stated = one.provider
    here = t("this very machine", "derselbe Rechner, auf dem der Dienst betrieben wird")
    host = said(one.host) + (f" ({here})" if one.is_here else "")
    if not one.is_encrypted and not one.is_here:
        host += t("; NOT encrypted on the way", "; Übertragung NICHT verschlüsselt")
    rows = [
        [t("Host", "Rechner"), host],
        [
            t("Company", "Unternehmen"),
            here
            if one.is_here and not stated.company
            else t.given(
                stated.company,
                f"contracting company behind {one.host}",
                f"Vertragspartner hinter {one.host}",
            ),
        ],
        [
            t("Region of processing", "Ort der Verarbeitung"),
            here
            if one.is_here and not stated.region
            else t.given(
                stated.region,
                "country or region, by the contract",
                "Land oder Region gemäß Vertrag",
            ),
        ],
    ]
    if not one.is_here or stated.contract:
        rows.append(
            [
                t("Processor (Art. 28 GDPR)", "Auftragsverarbeitung (Art. 28 DSGVO)"),
                t.given(
                    stated.contract,
                    "agreement on processing, with date",
                    "Vertrag zur Auftragsverarbeitung mit Datum",
                ),
            ]
        )
    if not one.is_here or stated.transfer:
        rows.append(
            [
                t("Third country (Art. 44 ff. GDPR)", "Drittland (Art. 44 ff. DSGVO)"),
                t.given(
                    stated.transfer,
                    "none, or the ground: adequacy decision, standard clauses",
                    "keine Übermittlung oder deren Grundlage: Angemessenheitsbeschluss, Standardvertragsklauseln",
                ),
            ]
        )
    if not one.is_here or stated.retention:
        rows.append(
            [
                t("Kept there", "Speicherung beim Anbieter"),
                t.given(
                    stated.retention,
                    "what the provider keeps and how long, such as logs for abuse monitoring; use for training",
                    "Art und Dauer, z. B. Protokolle zur Missbrauchserkennung; Nutzung zu Trainingszwecken",
                ),
            ]
        )
    rows.append([t("Gets", "Erhält"), _what_it_gets(one, t)])
    if one.serves:
        rows.append([t("Told of the person", "Übermitteltes Personenmerkmal"), _pseudonym(one, t)])
    return rows


def _what_it_gets(one: UpstreamFacts, t: Tongue) -> str:
    found = []
    if one.serves:
        found.append(t("calls for its models", "Aufrufe für seine Modelle"))
    if one.checks:
        found.append(
            t(
                "texts and images to be checked (moderation), without any mark of the person",
                "zu prüfende Texte und Bilder (Moderation), ohne Personenmerkmal",
            )
        )
    return "; ".join(found)


def _pseudonym(one: UpstreamFacts, t: Tongue) -> str:
    what = t(
        "a pseudonym (keyed digest, HMAC) that only this server can lead back to a person, so that misuse by one"
        " person"
        " does not stop all",
        "ein Pseudonym (schlüsselabhängiger Prüfwert, HMAC), das nur auf diesem Server einer Person zugeordnet"
        " werden kann,"
        " damit der Missbrauch Einzelner nicht zur Sperre aller führt",
    )
    if one.profile == "compatible":
        return t(
            f"with chats nothing; with embeddings and completions, in the field user, {what}",
            f"bei Unterhaltungen (Chat) keines; bei Einbettungen und Vervollständigungen im Feld „user“ {what}",
        )
    return t(
        f"in the field safety_identifier (user with embeddings and completions) {what}",
        f"im Feld „safety_identifier“ (bei Einbettungen und Vervollständigungen: „user“) {what}",
    )


def recipients(facts: Facts, t: Tongue) -> Items:
    """Who else gets anything."""
    around = facts.around
    found = [
        t(
            "Host of this server: ",
            "Betrieb des Servers (Hosting): ",
        )
        + t.given(
            facts.stated.hosting,
            "who runs the machine and where; agreement under Art. 28 GDPR where it is somebody else",
            "Betreiber und Standort; bei Dritten Vertrag nach Art. 28 DSGVO",
        ),
        _staff(facts, t),
    ]
    if around.mail_host is not None:
        way = (
            ""
            if around.mail_is_encrypted
            else t(", NOT encrypted on the way", ", Übertragung NICHT verschlüsselt")
        )
        found.append(
            t(
                f"Mail server {said(around.mail_host)}{way}: addresses, names, and links by which keys are"
                f" picked up.",
                f"Mailserver {said(around.mail_host)}{way}: E-Mail-Adressen, Namen sowie Links zur Abholung von"
                f" Schlüsseln.",
            )
        )
    for webhook in facts.webhooks:
        kinds = (
            t("whatever happens", "alle Ereignisse")
            if webhook.kinds is None
            else t.listed([t(*KINDS[kind]) for kind in webhook.kinds])
        )
        found.append(
            t(
                f"The program at {said(webhook.host)} is told of: {kinds}. Messages hold ids and numbers, no"
                f" names and no"
                " contents.",
                f"Das Programm unter {said(webhook.host)} erhält Meldungen über: {kinds}. Sie enthalten interne"
                f" Kennungen und"
                " Zahlen, keine Namen und keine Inhalte.",
            )
        )
    told = sum(one.told_staff for one in facts.conducts)
    if told and around.mail_host is not None:
        found.append(
            t(
                f"Staff who are mailed of what happens (addresses: {told}): ids and numbers, no names and no"
                f" contents.",
                f"Personal, das über Ereignisse per E-Mail benachrichtigt wird (Adressen: {told}): interne"
                f" Kennungen und"
                " Zahlen, keine Namen und keine Inhalte.",
            )
        )
    if around.proxies:
        found.append(
            t(
                f"Front proxies ({t.listed(around.proxies)}): they see the callers' network addresses; how long"
                f" they log"
                " them is set there.",
                f"Vorgeschaltete Proxys ({t.listed(around.proxies)}): Sie verarbeiten die IP-Adressen der"
                f" Aufrufenden; die"
                " Dauer einer dortigen Protokollierung richtet sich nach deren Einstellung.",
            )
        )
    return Items(found)


def _staff(facts: Facts, t: Tongue) -> str:
    counts = [f"{t.role(role)}: {count}" for role, count in facts.staff.items() if count]
    tokens = t.listed(counts) or t("none", "keine")
    return t(
        f"Staff of the groups concerned, each for their own groups (tokens that open now: {tokens}), and the"
        f" operator.",
        f"Personal der jeweiligen Gruppen, beschränkt auf die eigenen Gruppen (derzeit gültige Zugänge:"
        f" {tokens}), sowie der"
        " Betreiber.",
    )
