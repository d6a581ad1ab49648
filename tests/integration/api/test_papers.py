"""P5: papers for data protection say what is in force, in two languages, and show what nobody has stated."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import AsgiClient
from tuckshop.domain.notices import NOTICE_KINDS
from tuckshop.services.papers.facts import Surroundings
from tuckshop.services.papers.recipients import KINDS

pytestmark = pytest.mark.anyio

PAPERS = ("notice", "record", "dpia")
LANGUAGES = ("en", "de")
BASE = "/api/v1"


async def paper(
    counter: Counter, name: str = "notice", lang: str = "en", *, group: str | None = "swa"
) -> str:
    """One as Markdown."""
    of = f"/groups/{group}/privacy" if group else "/privacy"
    answer = await counter.admin.get(f"{BASE}{of}/{name}", lang=lang)
    assert answer.status == 200, answer.body
    text: str = answer.json["markdown"]
    return text


async def all_papers(counter: Counter, *, group: str | None = "swa") -> dict[tuple[str, str], str]:
    return {
        (name, lang): await paper(counter, name, lang, group=group)
        for name in PAPERS
        for lang in LANGUAGES
    }


# (what is changed of the group, what every paper says then in English, and in German)
OF_A_GROUP: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "bodies of all calls",
        {"logging": {"bodies": "all", "purpose": "an exam"}},
        "Prompts and answers of all calls are kept in full",
        "sämtlicher Aufrufe werden vollständig gespeichert",
    ),
    (
        "bodies of flagged calls",
        {"logging": {"bodies": "flagged", "purpose": "appeals"}},
        "are kept of those calls only in which a check or a rule found something",
        "nur von solchen Aufrufen gespeichert",
    ),
    (
        "days of bodies",
        {"logging": {"bodies": "flagged", "purpose": "appeals", "days": 17}},
        "deleted after 17 days",
        "nach 17 Tagen durch Überschreiben gelöscht",
    ),
    (
        "purpose of bodies",
        {"logging": {"bodies": "flagged", "purpose": "a study of Müller"}},
        "for this purpose: a study of Müller",
        "Zweck dieser Speicherung: a study of Müller",
    ),
    (
        "readers of bodies",
        {"logging": {"bodies": "all", "purpose": "x", "readers": ["assistant", "owner"]}},
        "read by assistants, owners of the group and the operator of the server",
        "Assistenz (Rolle „assistant“), Verantwortliche der Gruppe (Rolle „owner“) und Betreiber",
    ),
    ("days of the log", {"log_days": 123}, "for 123 days", "123 Tage lang"),
    (
        "a deny-list",
        {"rules": {"deny_words": ["exam", "grade"]}},
        "a list of the group (2) are refused",
        "Sperrliste der Gruppe enthalten (Einträge: 2)",
    ),
    (
        "personal data blocked",
        {"rules": {"pii": {"iban": "block"}}},
        "Calls that hold account numbers (IBAN) are refused",
        "Aufrufe, die Kontonummern (IBAN) enthalten, werden abgewiesen",
    ),
    (
        "personal data redacted",
        {"rules": {"pii": {"email": "redact", "phone": "redact"}}},
        "What looks like e-mail addresses and phone numbers is made unreadable",
        "die wie E-Mail-Adressen und Telefonnummern aussehen, werden vor der Weiterleitung",
    ),
    (
        "personal data noted",
        {"rules": {"pii": {"credit_card": "flag"}}},
        "hold numbers of payment cards go out and are noted",
        "die Nummern von Zahlungskarten enthalten, werden ausgeführt und",
    ),
    (
        "tools",
        {"rules": {"tools": ["get_*"]}},
        "Tools that may be offered to a model: get\\_\\*",
        "Werkzeuge, die einem Modell angeboten werden dürfen: get\\_\\*",
    ),
    (
        "input tokens",
        {"rules": {"max_input_tokens": 12_000}},
        "12,000 input tokens at most",
        "höchstens 12.000 Eingabe-Token",
    ),
    (
        "a prompt of the group",
        {"rules": {"system_prompt": {"text": "Be a tutor."}}},
        "An instruction of the group is put before every conversation.",
        "Jeder Unterhaltung wird eine Vorgabe der Gruppe (Systemprompt) vorangestellt.",
    ),
    (
        "a prompt that is enforced",
        {"rules": {"system_prompt": {"text": "Be a tutor.", "mode": "enforce"}}},
        "in place of instructions of one's own",
        "eigene Vorgaben sind nicht zugelassen",
    ),
    (
        "hours",
        {"rules": {"hours": ["Mon-Fri 08:00-18:00"]}},
        "Calls are taken at these hours: Mon-Fri 08:00-18:00",
        "Aufrufe sind möglich: Mon-Fri 08:00-18:00",
    ),
    (
        "networks",
        {"rules": {"networks": ["10.0.0.0/8"]}},
        "from these networks only: 10.0.0.0/8",
        "nur aus folgenden Netzen angenommen: 10.0.0.0/8",
    ),
    (
        "strikes that pause",
        {"strikes": {"count": 4, "days": 9}},
        "4 different flagged contents of one's own within 9 days pause the member's access",
        "4 verschiedene beanstandete eigene Inhalte innerhalb von 9 Tagen führen zu einer vorläufigen",
    ),
    (
        "strikes that only tell",
        {"strikes": {"count": 5, "days": 1, "pause": "none"}},
        "Staff are told of 5 different flagged contents of one's own within 1 day",
        "innerhalb eines Tages wird das Personal benachrichtigt",
    ),
    (
        "checks that block",
        {"moderation": {"mode": "block"}},
        "Before a call goes out, what it says is checked automatically by a moderation service",
        "Vor der Weiterleitung werden die Inhalte eines Aufrufs von einem Moderationsdienst",
    ),
    (
        "checks that only note",
        {"moderation": {"mode": "log"}},
        "What is flagged is noted; nobody is refused and nothing is held up.",
        "Beanstandungen werden vermerkt; abgewiesen oder verzögert wird nichts.",
    ),
    (
        "checks of answers that block",
        {"moderation": {"outputs": "block"}},
        "An answer is passed on only after its check",
        "Sie werden erst nach der Prüfung weitergegeben",
    ),
    (
        "checks of answers that only note",
        {"moderation": {"outputs": "log"}},
        "Answers are checked in the same way. What is flagged is noted.",
        "Antworten werden in gleicher Weise geprüft. Beanstandungen werden vermerkt.",
    ),
    (
        "checks that may fail",
        {"moderation": {"mode": "block", "fail": "open"}},
        "While the check cannot be had, calls pass unchecked",
        "Steht die Prüfung nicht zur Verfügung, werden Aufrufe ungeprüft ausgeführt",
    ),
    (
        "what cannot be checked",
        {"moderation": {"mode": "block", "unreadable": "pass"}},
        "what cannot be checked passes.",
        "was nicht prüfbar ist, wird durchgelassen.",
    ),
    (
        "scores of their own",
        {"moderation": {"mode": "log", "thresholds": {"violence": 0.9}}},
        "From which score on a category counts is set by the group or the workspace",
        "Ab welchem Wert eine Kategorie als erfüllt gilt, ist für die Gruppe",
    ),
    (
        "pseudonyms",
        {"pseudonyms": True},
        "Staff see pseudonyms in place of identifiers, names and e-mail addresses.",
        "Das Personal sieht Pseudonyme anstelle von Kennungen, Namen und E-Mail-Adressen.",
    ),
    (
        "a title",
        {"title": "Software & <Architektur>"},
        "the group Software \\& \\<Arch",
        "die Gruppe Softw",
    ),
]


@pytest.mark.parametrize(
    ("change", "en", "de"), [row[1:] for row in OF_A_GROUP], ids=[row[0] for row in OF_A_GROUP]
)
async def test_each_part_of_a_groups_conduct_is_told_by_every_paper(
    counter: Counter, change: dict[str, Any], en: str, de: str
) -> None:
    await counter.group()
    before = await all_papers(counter)
    assert not any(en in text or de in text for text in before.values())

    answer = await counter.admin.patch(f"{BASE}/groups/swa", change)
    assert answer.status == 200, answer.body

    for (name, lang), text in (await all_papers(counter)).items():
        assert (en if lang == "en" else de) in text, (name, lang)
    of_all = await all_papers(counter, group=None)
    if "title" not in change:
        for (name, lang), text in of_all.items():
            assert (en if lang == "en" else de) in text, (name, lang)


STATED = {
    "controller": "Uni of Example, 1 Main Street",
    "representative": "the president",
    "contact": "help@uni.example.org",
    "officer": "dpo@uni.example.org",
    "authority": "Commissioner of Example",
    "purpose": "teaching of algorithms",
    "legal_basis": "Art. 6(1)(e) GDPR, § 4 LDSG",
    "hosting": "the computing centre, room 12",
    "backups": "a safe, 14 days",
    "logs": "7 days in the journal",
}


@pytest.mark.parametrize("field", STATED)
async def test_what_is_stated_takes_the_place_of_a_gap(counter: Counter, field: str) -> None:
    await counter.group()
    before = {name: await counter.admin.get(f"{BASE}/privacy/{name}") for name in PAPERS}

    answer = await counter.admin.patch(f"{BASE}/privacy", {field: STATED[field]})
    assert answer.status == 200, answer.body
    assert answer.json[field] == STATED[field]

    for name in PAPERS:
        after = await counter.admin.get(f"{BASE}/privacy/{name}")
        assert STATED[field] not in before[name].json["markdown"]
        assert STATED[field] in after.json["markdown"]
        assert len(after.json["to_fill"]) < len(before[name].json["to_fill"])
    # Taken back, the gap is there again.
    await counter.admin.patch(f"{BASE}/privacy", {field: None})
    for name in PAPERS:
        again = await counter.admin.get(f"{BASE}/privacy/{name}")
        assert again.json["markdown"] == before[name].json["markdown"]


async def test_gaps_are_seen_in_both_languages_and_forms(counter: Counter) -> None:
    await counter.group()

    assert "**[to fill in: name and address]**" in await paper(counter)
    assert "**[auszufüllen: Name und Anschrift]**" in await paper(counter, lang="de")
    page = await as_page(counter.admin, f"{BASE}/groups/swa/privacy/notice", lang="de")
    assert "<mark>[auszufüllen: Name und Anschrift]</mark>" in page
    assert '<html lang="de">' in page


async def upstream(counter: Counter, name: str, **fields: Any) -> None:
    body = {"name": name, "credential": "sk-real-0123456789abcdef", **fields}
    answer = await counter.admin.post(f"{BASE}/upstreams", body)
    assert answer.status == 201, answer.body


async def test_providers_are_told_as_they_are_configured(counter: Counter) -> None:
    """P5: host, what it is told of the person, whether the way is encrypted; P3: a pseudonym."""
    await counter.group(models=["gpt-4o*"])
    assert "No provider is set up" in await paper(counter)
    assert "kein Anbieter eingerichtet" in await paper(counter, lang="de")

    await upstream(counter, "openai")
    await upstream(counter, "own", base_url="http://127.0.0.1:9000/v1", profile="compatible")
    await upstream(counter, "far", base_url="http://llm.example.org/v1", models=["mistral-*"])

    of_group, of_all = await paper(counter), await paper(counter, group=None)
    for text in (of_group, of_all):
        assert "api.openai.com" in text
        assert "in the field safety_identifier" in text
        assert "127.0.0.1 (this very machine)" in text.replace("\\", "")
        assert "with chats nothing" in text
    assert "llm.example.org" not in of_group  # which serves none of its models
    assert "llm.example.org; NOT encrypted on the way" in of_all
    assert "Übertragung NICHT verschlüsselt" in await paper(counter, lang="de", group=None)
    assert "TLS), but NOT to: llm.example.org" in await paper(counter, "record", group=None)


@pytest.mark.parametrize("field", ["company", "region", "contract", "transfer", "retention"])
async def test_what_is_stated_of_a_provider_takes_the_place_of_its_gap(
    counter: Counter, field: str
) -> None:
    await counter.group()
    await upstream(counter, "openai")
    before = await all_papers(counter)

    answer = await counter.admin.patch(
        f"{BASE}/privacy", {"providers": {"openai": {field: "as agreed in May"}}}
    )
    assert answer.status == 200, answer.body
    other = await counter.admin.patch(
        f"{BASE}/privacy", {"providers": {"openai": {"region": "EU"}}}
    )
    assert field == "region" or other.json["providers"]["openai"][field] == "as agreed in May"

    if field != "region":
        for which, text in (await all_papers(counter)).items():
            assert "as agreed in May" in text
            assert "as agreed in May" not in before[which]
    gone = await counter.admin.patch(f"{BASE}/privacy", {"providers": {"openai": None}})
    assert gone.json["providers"] == {}
    assert await all_papers(counter) == before


async def test_what_cannot_be_stated_changes_nothing(counter: Counter) -> None:
    answer = await counter.admin.patch(
        f"{BASE}/privacy",
        {
            "controller": "two\nlines",
            "contact": "x" * 1_001,
            "notice_url": "javascript:alert(1)",
            "officer": "somebody",
            "providers": {"nobody": {"region": "EU"}},
        },
    )

    assert answer.status == 422
    named = {error["field"] for error in answer.json["errors"]}
    assert named == {"controller", "contact", "notice_url", "providers.nobody"}
    assert (await counter.admin.get(f"{BASE}/privacy")).json["officer"] == ""


async def test_the_audit_trail_tells_which_fields_and_not_what_they_say(counter: Counter) -> None:
    """P8: contacts are people."""
    await counter.admin.patch(f"{BASE}/privacy", {"officer": "Ada Lovelace", "hosting": "here"})

    (row,) = (await counter.admin.get(f"{BASE}/audit", action="privacy")).json["data"]
    assert row["after"] == {"fields": ["officer", "hosting"]}
    assert "Ada" not in str(row)


async def test_staff_mails_and_webhooks_are_recipients(counter: Counter) -> None:
    await counter.group()
    await counter.group(name="os")
    before = await paper(counter)
    assert "hooks.example.org" not in before

    hook = {"url": "https://hooks.example.org/x?token=1", "groups": ["swa"], "kinds": ["flag"]}
    assert (await counter.admin.post(f"{BASE}/webhooks", hook)).status == 201
    await counter.token("owner")
    await counter.token("viewer")

    assert "The program at hooks.example.org is told of: flags." in await paper(counter)
    assert "Meldungen über: Beanstandungen." in await paper(counter, lang="de")
    assert "token=1" not in await paper(counter)
    assert "hooks.example.org" not in await paper(counter, group="os")
    assert "owners of the group: 1" in await paper(counter)
    assert "owners of the group: 1" not in await paper(counter, group="os")
    assert "Staff (tokens that open: 2)" in await paper(counter, "record")


AROUND: list[tuple[dict[str, Any], str, str]] = [
    (
        {"mail_host": "smtp.example.org"},
        "Mail server smtp.example.org:",
        "Mailserver smtp.example.org:",
    ),
    (
        {"mail_host": "smtp.example.org", "mail_is_encrypted": False},
        "smtp.example.org, NOT encrypted on the way",
        "smtp.example.org, Übertragung NICHT verschlüsselt",
    ),
    ({"proxies": ("10.1.0.0/16",)}, "Front proxies (10.1.0.0/16)", "Proxys (10.1.0.0/16)"),
    (
        {"public_url": "https://llm.example.org"},
        "at https://llm.example.org",
        "unter https://llm.example.org",
    ),
    ({"has_way_out": True}, "to providers through a proxy", "erfolgt über einen Proxy"),
]


@pytest.mark.parametrize(("change", "en", "de"), AROUND)
async def test_settings_are_told(
    counter: Counter, change: dict[str, Any], en: str, de: str
) -> None:
    await counter.group()
    await upstream(counter, "openai")
    before = await all_papers(counter)

    papers = counter.services.papers
    papers._surroundings = replace(Surroundings(), **change)  # as `serve` was started

    for (name, lang), text in (await all_papers(counter)).items():
        assert (en if lang == "en" else de) in text
        assert (en if lang == "en" else de) not in before[name, lang]


async def as_page(client: AsgiClient, path: str, **query: Any) -> str:
    answer = await client.send("GET", path, query=query, headers={"accept": "text/html"})
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.body.decode()


async def test_names_are_text_in_every_form(counter: Counter) -> None:
    """K13: a title is neither markup of the page nor of Markdown."""
    hostile = "<script>alert(1)</script> [x](http://evil.example) **b** | `c`"
    await counter.group(title=hostile)

    page = await as_page(counter.admin, f"{BASE}/groups/swa/privacy/record")
    text = await paper(counter, "record")

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\\<script\\>" in text
    assert "\\[x\\](http" in text
    assert not re.search(r"(?<!\\)\*\*b", text)


async def test_a_key_opens_its_own_notice(counter: Counter) -> None:
    """K21: numbers and rules, never names."""
    _, member, key = await counter.chain(log_days=99)
    await counter.admin.patch(f"{BASE}/members/{member['id']}", {"name": "Ada Lovelace"})
    await counter.group(name="os", title="Operating systems")
    holder = AsgiClient(counter.app, token=key["key"])

    answer = await holder.get(f"{BASE}/me/notice", lang="de")
    page = await as_page(holder, f"{BASE}/me/notice")

    assert answer.json["paper"] == "notice"
    assert answer.json["group"] == "swa"
    assert "99 Tage lang" in answer.json["markdown"]
    for text in (answer.json["markdown"], page):
        assert "Ada" not in text
        assert "Operating systems" not in text


async def test_me_tells_what_is_kept_and_checked_and_where_the_notice_is(counter: Counter) -> None:
    """P5, K21."""
    _, _, key = await counter.chain(
        log_days=99,
        logging={"bodies": "flagged", "days": 9, "purpose": "appeals", "readers": ["owner"]},
        rules={"deny_words": ["exam"], "hours": ["Mon-Fri 08:00-18:00"]},
    )
    holder = AsgiClient(counter.app, token=key["key"])

    privacy = (await holder.get(f"{BASE}/me")).json["privacy"]

    assert privacy == {
        "bodies": "flagged",
        "days": 9,
        "purpose": "appeals",
        "readers": ["owner"],
        "log_days": 99,
        "network_days": 14,
        "moderation": {"asked": "off", "answered": "off"},
        "rules": [
            "Contents of calls are not checked by a moderation service of ours.",
            "Calls that hold a word or phrase of a list of the group (1) are refused.",
            "Calls are taken at these hours: Mon-Fri 08:00-18:00.",
        ],
        "pseudonyms": False,
        "notice": "https://tuckshop.example.org/api/v1/me/notice",
    }
    await counter.admin.patch(f"{BASE}/privacy", {"notice_url": "https://uni.example.org/privacy"})
    again = (await holder.get(f"{BASE}/me")).json["privacy"]
    assert again["notice"] == "https://uni.example.org/privacy"


async def test_what_the_workspace_says_holds_for_every_group(counter: Counter) -> None:
    await counter.group()
    holder = AsgiClient(
        counter.app, token=(await counter.key((await counter.member())["id"]))["key"]
    )

    change = {"moderation": {"mode": "log", "outputs": "block"}, "pseudonyms": True}
    assert (await counter.admin.patch(f"{BASE}/workspace", change)).status == 200

    for (name, lang), text in (await all_papers(counter)).items():
        en, de = "Staff see pseudonyms", "Das Personal sieht Pseudonyme"
        assert (en if lang == "en" else de) in text, name
        en, de = "What calls say is checked automatically", "Die Inhalte der Aufrufe werden von"
        assert (en if lang == "en" else de) in text, name
    privacy = (await holder.get(f"{BASE}/me")).json["privacy"]
    assert privacy["moderation"] == {"asked": "log", "answered": "block"}
    assert privacy["pseudonyms"] is True


async def test_who_checks_is_a_recipient_though_it_serves_no_call(counter: Counter) -> None:
    await upstream(counter, "own", base_url="http://127.0.0.1:9000/v1", profile="compatible")
    await upstream(counter, "checker", base_url="https://checks.example.org/v1", models=["none"])
    await counter.group(models=["llama*"])
    assert "checks.example.org" not in await paper(counter)

    change = {"moderation": {"mode": "block", "upstream": "checker"}}
    assert (await counter.admin.patch(f"{BASE}/groups/swa", change)).status == 200

    text = await paper(counter)
    assert "by a moderation service (upstream: checker)" in text
    row = text[text.index("checks.example.org") :].split("\n\n")[0]
    assert "| Gets | texts and images to be checked (moderation), without any mark" in row
    assert "Told of the person" not in row


async def test_an_erased_person_is_counted_no_more(counter: Counter) -> None:
    """P4."""
    await counter.group()
    member = await counter.member()
    await counter.member(external_id="4712")
    assert "2 members (who hold keys), in 1 group" in await paper(counter, "record")

    path = f"{BASE}/erase/members/{member['id']}"
    answer = await counter.admin.post(path, {"reason": "asked for by letter"})
    assert answer.status == 200, answer.body

    assert "1 member (who hold keys), in 1 group" in await paper(counter, "record")


async def test_who_picks_up_a_key_is_told_what_is_kept_and_where_the_notice_is(
    counter: Counter,
) -> None:
    """P5: at the time of collection (Art. 13 GDPR)."""
    await counter.group(logging={"bodies": "all", "purpose": "a study", "days": 9})
    await counter.admin.patch(f"{BASE}/privacy", {"notice_url": "https://uni.example.org/privacy"})
    member = await counter.member()
    made = await counter.admin.post(f"{BASE}/members/{member['id']}/claim-links")

    secret = made.json["url"].partition("#")[2]
    page = {"sec-fetch-site": "same-origin"}
    claimed = await counter.admin.send(
        "POST", f"{BASE}/claim", body={"secret": secret}, headers=page, token=""
    )

    told = " ".join(claimed.json["privacy"])
    assert "Prompts and answers of all calls are kept in full" in told
    assert "They are kept for this purpose: a study." in told
    assert "deleted after 9 days" in told
    assert claimed.json["notice"] == "https://uni.example.org/privacy"


def test_every_kind_of_notice_has_its_words() -> None:
    assert KINDS.keys() == set(NOTICE_KINDS)


async def test_a_statement_based_on_a_stale_one_is_refused(counter: Counter) -> None:
    """M2: what two people state at once is not lost unseen."""
    seen = (await counter.admin.get("/api/v1/privacy")).headers["etag"]
    stated = [{"controller": "University"}, {"officer": "Ada"}]

    first, stale = [
        await counter.admin.send(
            "PATCH", "/api/v1/privacy", body=change, headers={"if-match": seen}
        )
        for change in stated
    ]

    assert (first.status, stale.status) == (200, 412)
    assert "by operator" in stale.json["detail"]
    now = (await counter.admin.get("/api/v1/privacy")).json
    assert (now["controller"], now["officer"]) == ("University", "")
