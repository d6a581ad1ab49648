"""Mails by the admin API, to a real mail server: who gets one, once, at which pace, and what becomes of it."""

from __future__ import annotations

import itertools
import re
from collections import Counter as Counting
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import ADMIN_TOKEN, Counter
from tests.integration.api.test_flags import Said
from tests.support.asgi_client import Answer, AsgiClient
from tests.support.smtp_server import MailServer, mail_server
from tuckshop.api.app import build_app
from tuckshop.domain.actor import SYSTEM, Actor
from tuckshop.domain.errors import ConflictError, NotFoundError
from tuckshop.mailing.address import parse_domain, parse_mailbox
from tuckshop.mailing.policy import MailPolicy, MailWay
from tuckshop.mailing.sender import ATTEMPTS_MAX, Sender
from tuckshop.mailing.smtp import Smtp
from tuckshop.mailing.smtp_url import parse_smtp_url
from tuckshop.services.assembly import assemble_mails
from tuckshop.services.mails import MailFilter, Mails
from tuckshop.upstreams.tls import client_context

pytestmark = pytest.mark.anyio

SECRET = "LINK-CANARY-0123456789"
PASSWORD = "smtp-CANARY-0123456789"
DAY_S = 86_400.0


@dataclass
class FakeLink:
    url: str
    expires_at_us: int


@dataclass
class FakeLinks:
    """Makes links, and remembers for whom."""

    clock: Any
    made: list[str] = field(default_factory=list)
    refuse: str | None = None

    async def new_link(self, actor: Actor, member_id: str) -> FakeLink:
        assert actor == SYSTEM
        if self.refuse is not None:
            raise ConflictError(self.refuse)
        self.made.append(member_id)
        return FakeLink(
            f"https://tuckshop.example.org/claim/#{SECRET}{len(self.made)}",
            self.clock.now_us() + 14 * 86_400_000_000,
        )


@dataclass
class Post:
    """A counter with mail."""

    counter: Counter
    admin: AsgiClient
    server: MailServer
    links: FakeLinks
    counted: Counting[str]
    mails: Mails

    @property
    def sender(self) -> Sender:
        assert self.mails._outbox is not None
        return self.mails._outbox.sender

    async def invite(self, **order: Any) -> Any:
        answer = await self.admin.post("/api/v1/groups/swa/mail", {"kind": "invite", **order})
        assert answer.status == 200, answer.body
        return answer.json

    async def run(self, *, seconds: float = 60.0) -> list[str]:
        """Send what can be sent within this time; to whom mails went."""
        before, end_s = len(self.server.received), self.counter.clock.monotonic_s() + seconds
        while self.counter.clock.monotonic_s() <= end_s:
            pause_s = await self.sender.step()
            if pause_s is None or self.counter.clock.monotonic_s() + pause_s > end_s:
                break
            self.counter.clock.advance(max(pause_s, 0.001))
        return self.server.recipients()[before:]

    async def rows(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.admin.get("/api/v1/mail", **query)).json["data"]
        return found

    async def states(self) -> dict[str, str]:
        return {row["to"]: row["state"] for row in await self.rows()}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as one:
        yield one


@pytest.fixture
async def post(counter: Counter, server: MailServer) -> AsyncIterator[Post]:
    post = make_post(counter, server)
    await counter.group(title="Software architecture", each=["$0.20/month"], models=["gpt-4o-mini"])
    yield post
    await post.mails.close()


def make_post(counter: Counter, server: MailServer, *, login: str = "", **policy: Any) -> Post:
    links, counted = FakeLinks(counter.clock), Counting[str]()
    way = MailWay(
        policy=MailPolicy(
            sender=parse_mailbox("Tuckshop <tuckshop@example.org>"),
            **{
                "contact": "help@example.org",
                "language": "en",
                "per_day": 2_000,
                "per_minute": 30,
                "domains": (),
                "public_url": "https://tuckshop.example.org",
                **policy,
            },
        ),
        smtp=Smtp(
            parse_smtp_url(server.url(login=login)),
            hello="example.org",
            tls=client_context,
            timeout_s=5,
        ),
        count=lambda state: counted.update([state]),
    )
    mails = assemble_mails(
        way=way,
        changes=counter.services.changes,
        directory=counter.services.directory,
        links={"invite": links, "rotated": links, "paused": counter.services.appeals},
        writer=counter.writer,
        database=counter.database,
        clock=counter.clock,
    )
    app = build_app(
        services=replace(counter.services, mails=mails),
        admin_token=ADMIN_TOKEN,
        readiness=lambda: None,
    )
    admin = AsgiClient(app, token=ADMIN_TOKEN)
    return Post(counter, admin, server, links, counted, mails)


async def people(post: Post, *names: str) -> list[dict[str, Any]]:
    """Members with an address each, in this order."""
    found = []
    for name in names:
        post.counter.clock.advance(0.001)
        address = f"{name}@uni-example.org"
        found.append(await post.counter.member(external_id=name, name=name.title(), email=address))
    return found


async def test_an_invitation_has_a_link_made_when_it_is_sent(post: Post) -> None:
    ada, bob = await people(post, "ada", "bob")

    report = await post.invite()
    assert post.links.made == []
    went = await post.run()

    assert (report["mails"], report["skipped"], report["dry_run"]) == (2, 0, False)
    assert went == ["ada@uni-example.org", "bob@uni-example.org"]
    assert post.links.made == [ada["id"], bob["id"]]
    letter = post.server.received[0]
    assert letter.sender == "tuckshop@example.org"
    assert letter.message["To"] == "Ada <ada@uni-example.org>"
    assert letter.message["Reply-To"] == "help@example.org"
    assert letter.message["Subject"] == "Your key for Software architecture"
    assert f"https://tuckshop.example.org/claim/#{SECRET}1\n" in letter.text
    assert "Your limits: $0.20/month\n" in letter.text
    assert "https://tuckshop.example.org/v1" in letter.text
    assert post.counted == {"sent": 2}


async def test_a_dry_run_sends_nothing_and_tells_who_gets_none_and_why(post: Post) -> None:
    await people(post, "ada")
    await post.counter.member(external_id="none")
    await post.counter.member(external_id="odd", email="jörg@uni-example.org")
    paused = (await people(post, "paused"))[0]
    await post.admin.post(f"/api/v1/members/{paused['id']}/pause")
    holder = (await people(post, "holder"))[0]
    await post.counter.key(holder["id"])

    report = await post.invite(dry_run=True)

    assert (report["dry_run"], report["mails"], report["skipped"]) == (True, 1, 4)
    assert {row["external_id"]: row["reason"] for row in report["data"]} == {
        "none": "no_address",
        "odd": "not_allowed",
        "paused": "paused",
        "holder": "has_key",
    }
    assert await post.run() == []
    assert await post.rows() == []


async def test_domains_that_are_not_named_are_not_written_to(
    counter: Counter, server: MailServer
) -> None:
    post = make_post(
        counter,
        server,
        domains=(parse_domain("uni-example.org"), parse_domain("*.uni-example.org")),
    )
    await counter.group()
    for place, address in enumerate(
        ("a@uni-example.org", "b@cs.UNI-example.org", "c@example.org", "d@notuni-example.org")
    ):
        counter.clock.advance(0.001)
        await counter.member(external_id=str(place), email=address)

    report = await post.invite()
    went = await post.run()
    test = await post.admin.post("/api/v1/mail/test", {"to": "c@example.org"})
    await post.mails.close()

    assert [row["reason"] for row in report["data"]] == ["not_allowed"] * 2
    assert went == ["a@uni-example.org", "b@cs.uni-example.org"]
    assert test.status == 422
    assert b"TUCKSHOP_MAIL_DOMAINS" in test.body


async def test_who_was_invited_is_not_invited_twice_unless_asked(post: Post) -> None:
    await people(post, "ada")

    first = await post.invite()
    waiting = await post.invite()
    await post.run()
    after = await post.invite()
    again = await post.invite(again=True)

    assert [first["mails"], waiting["mails"], after["mails"], again["mails"]] == [1, 0, 0, 1]
    assert waiting["data"][0]["reason"] == "waiting"
    assert after["data"][0]["reason"] == "invited"


async def test_the_pace_is_kept(post: Post) -> None:
    await people(post, *"abcdefgh")
    await post.invite()

    first = await post.run(seconds=9)

    assert len(first) == 5  # at 0, 2, 4, 6 and 8 s
    assert len(await post.run()) == 3


async def test_the_days_number_is_kept_and_the_rest_waits_for_the_next(
    counter: Counter, server: MailServer
) -> None:
    post = make_post(counter, server, per_day=3)
    await counter.group()
    await people(post, *"abcde")

    report = await post.invite()
    first = await post.run(seconds=3_600)
    test = await post.admin.post("/api/v1/mail/test", {"to": "t@example.org"})
    page = (await post.admin.get("/api/v1/mail")).json
    counter.clock.advance(DAY_S)
    second = await post.run(seconds=3_600)
    await post.mails.close()

    assert report["last_at"] is not None
    assert (len(first), len(second)) == (3, 2)
    assert test.status == 409
    assert (page["last_day"], page["per_day"]) == (3, 3)
    assert page["counts"] == {"queued": 2, "sent": 3}


async def test_what_the_server_puts_off_is_tried_again_with_growing_pauses(post: Post) -> None:
    await people(post, "ada")
    post.server.rcpt["ada@uni-example.org"] = "450 4.2.0 greylisted"
    await post.invite()

    await post.sender.step()
    row = (await post.rows())[0]
    pauses = []
    for _ in range(5):
        pause_s = 0.0
        while (wait_s := await post.sender.step()) and (await post.rows())[0]["attempts"] < 3:
            post.counter.clock.advance(wait_s)
            pause_s += wait_s
        pauses.append(pause_s)
        if (await post.rows())[0]["attempts"] >= 3:
            break
    post.server.rcpt.clear()
    went = await post.run(seconds=20_000)

    assert (row["state"], row["attempts"], row["told"]) == ("queued", 1, "450 4.2.0 greylisted")
    assert pauses[0] >= 60 + 240
    assert went == ["ada@uni-example.org"]
    assert post.counted == {"deferred": 3, "sent": 1}


async def test_what_is_put_off_for_two_days_is_given_up(post: Post) -> None:
    await people(post, "ada")
    post.server.data = "451 not now"
    await post.invite()

    await post.run(seconds=3 * DAY_S)
    row = (await post.rows())[0]

    assert (row["state"], row["attempts"]) == ("failed", ATTEMPTS_MAX)
    assert row["told"] == f"given up after {ATTEMPTS_MAX} attempts: 451 not now"


async def test_what_the_server_refuses_has_failed_and_can_be_sent_to_a_better_address(
    post: Post,
) -> None:
    ada = (await people(post, "ada"))[0]
    post.server.rcpt["ada@uni-example.org"] = "550 5.1.1 no such user"
    await post.invite()
    await post.run()
    failed = (await post.rows())[0]
    await post.admin.patch(f"/api/v1/members/{ada['id']}", {"email": "ada@example.org"})

    retried = await post.admin.post(f"/api/v1/mail/{failed['id']}/retry")
    went = await post.run()

    assert (failed["state"], failed["told"]) == ("failed", "550 5.1.1 no such user")
    assert retried.json["state"] == "queued"
    assert went == ["ada@example.org"]
    assert (await post.admin.post(f"/api/v1/mail/{failed['id']}/retry")).status == 409


async def test_a_server_that_is_away_costs_no_attempt_and_voids_no_link(
    counter: Counter, server: MailServer
) -> None:
    post = make_post(counter, MailServer(port=9))  # nobody listens there
    await counter.group()
    await people(post, "ada")
    await post.invite()

    pauses = []
    for _ in range(8):
        pause_s = await post.sender.step()
        assert pause_s is not None
        pauses.append(pause_s)
        counter.clock.advance(pause_s)
    page = (await post.admin.get("/api/v1/mail")).json

    assert pauses == [15, 30, 60, 120, 240, 480, 600, 600]
    assert (page["data"][0]["state"], page["data"][0]["attempts"]) == ("queued", 0)
    assert "cannot be used" in page["trouble"]
    assert post.links.made == []


async def test_staff_of_a_group_learn_nothing_of_other_groups_or_of_the_mail_server(
    counter: Counter, server: MailServer
) -> None:
    """K5, K17: the day's number is a sum over all groups, and the trouble names the mail server."""
    post = make_post(counter, MailServer(port=9))  # nobody listens there
    group = await counter.group()
    await people(post, "ada")
    await post.invite()
    await post.sender.step()
    viewer = Actor(kind="token", id="tok_1", role="viewer", groups=frozenset({group["id"]}))

    operators = (await post.admin.get("/api/v1/mail")).json
    page = await post.mails.page(viewer, MailFilter())

    assert operators["last_day"] == 0
    assert "smtp://" in operators["trouble"]
    assert page.counts == operators["counts"] == {"queued": 1}
    assert page.last_day is None
    assert page.trouble == "The server cannot send at present; its operator is told why."


async def test_a_mail_of_which_nobody_knows_is_not_sent_twice_by_itself(post: Post) -> None:
    await people(post, "ada")
    post.server.break_off = "END"
    await post.invite()

    await post.run(seconds=DAY_S)
    row = (await post.rows())[0]

    assert row["state"] == "unknown"
    assert post.server.recipients() == ["ada@uni-example.org"]
    post.server.break_off = ""
    await post.admin.post(f"/api/v1/mail/{row['id']}/retry")
    assert await post.run() == ["ada@uni-example.org"]


async def test_what_was_being_sent_when_the_server_died_is_unknown(post: Post) -> None:
    await people(post, "ada", "bob")
    await post.invite()
    await post.mails._queue.take()

    await post.mails._queue.recover()
    went = await post.run()

    assert went == ["bob@uni-example.org"]
    assert await post.states() == {
        "ada@uni-example.org": "unknown",
        "bob@uni-example.org": "sent",
    }


async def test_what_waits_can_be_cancelled(post: Post) -> None:
    await people(post, "ada", "bob")
    await post.invite()
    bob, ada = await post.rows()

    cancelled = await post.admin.post(f"/api/v1/mail/{ada['id']}/cancel")
    went = await post.run()

    assert cancelled.json["state"] == "cancelled"
    assert went == ["bob@uni-example.org"]
    assert (await post.admin.post(f"/api/v1/mail/{bob['id']}/cancel")).status == 409
    assert (await post.admin.post("/api/v1/mail/mai_nosuch/cancel")).status == 404


async def test_an_own_text_and_its_preview(post: Post) -> None:
    await people(post, "ada")
    template = "Subject: {course}: los geht's\n\nHallo {name} ({external_id}),\n{{so}}: {link}\n"

    preview = await post.admin.post(
        "/api/v1/groups/swa/mail/preview", {"kind": "invite", "template": template}
    )
    await post.invite(template=template)
    await post.run()

    text = "Hallo Ada (ada),\n{so}: https://tuckshop.example.org/claim/#"
    assert preview.json == {
        "sender": "Tuckshop <tuckshop@example.org>",
        "to": "Ada <ada@uni-example.org>",
        "subject": "Software architecture: los geht's",
        "text": f"{text}EXAMPLE\n",
    }
    assert post.server.received[0].message["Subject"] == "Software architecture: los geht's"
    assert post.server.received[0].text == f"{text}{SECRET}1\n"


async def test_a_text_that_cannot_be_filled_is_refused_before_anything_is_sent(post: Post) -> None:
    """K7."""
    await people(post, "ada")
    order = {"kind": "invite", "template": "Subject: a\n\n{name}, {nmae}: {link}\n"}

    for path in ("mail", "mail/preview"):
        answer = await post.admin.post(f"/api/v1/groups/swa/{path}", order)
        assert answer.status == 422
        assert "line 3: there is no {nmae}; known are {base_url}, " in answer.json["detail"]
    assert await post.rows() == []


async def test_a_name_is_text_whatever_it_looks_like(post: Post) -> None:
    """K13: a name is never a placeholder, and turns nobody's reading direction."""
    await post.counter.member(
        external_id="1", name='{link} "Bcc: x" <y@z>, \u202egro', email="ada@uni-example.org"
    )
    await post.invite()
    await post.run()

    letter = post.server.received[0]
    assert 'Hello {link} "Bcc: x" <y@z>, gro,' in letter.text
    assert [str(address.addr_spec) for address in letter.message["To"].addresses] == [
        "ada@uni-example.org"
    ]
    assert letter.message["Bcc"] is None


async def test_a_test_mail_tells_at_once_what_came_of_it(post: Post) -> None:
    good = await post.admin.post("/api/v1/mail/test", {"to": "me@example.org"})
    post.server.rcpt["me@example.org"] = "450 later"
    bad = await post.admin.post("/api/v1/mail/test", {"to": "me@example.org"})

    assert (good.json["state"], good.json["kind"]) == ("sent", "test")
    assert (bad.json["state"], bad.json["told"]) == ("failed", "450 later")
    assert "Tuckshop can send mail" in post.server.received[0].message["Subject"]
    assert (await post.admin.post("/api/v1/mail/test", {"to": "nobody"})).status == 422
    assert (await post.admin.post(f"/api/v1/mail/{bad.json['id']}/retry")).status == 409


async def test_a_member_who_gets_no_link_is_told_to_staff(post: Post) -> None:
    await people(post, "ada")
    await post.invite()
    post.links.refuse = "The member or its group is archived: resume it first."

    await post.run()

    assert (await post.rows())[0]["state"] == "failed"
    assert "archived" in (await post.rows())[0]["told"]
    assert post.server.received == []


async def test_a_link_is_nowhere_but_in_the_mail(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """K2, P1: neither links nor the mail server's password are in the ledger, an answer or the log."""
    with mail_server(MailServer(login=("ada", PASSWORD))) as server:
        post = make_post(counter, server, login=f"ada:{PASSWORD}@")
        await counter.group()
        await people(post, "ada")
        server.data = f"554 5.7.1 spam: https://tuckshop.example.org/claim/#{SECRET}1 {PASSWORD}"
        answers: list[Answer] = []

        await post.invite()
        await post.run()
        server.data = "250 taken"
        await post.invite(again=True)
        await post.run()
        for path in ("/api/v1/mail", "/api/v1/audit"):
            answers.append(await post.admin.get(path))
        preview = {"kind": "rotated"}
        answers.append(await post.admin.post("/api/v1/groups/swa/mail/preview", preview))
        await post.mails.close()
        await counter.ledger.flush()

        said = b"".join(answer.body for answer in answers) + caplog.text.encode()
        kept = b"".join(
            path.read_bytes()
            for path in Path(counter.database.path).parent.iterdir()
            if path.is_file()
        )
        for canary in (SECRET.encode(), PASSWORD.encode()):
            assert canary not in said
            assert canary not in kept
        assert SECRET in server.received[0].text
        assert b"spam" in said


@pytest.mark.parametrize("where", ["rcpt", "data", "mail"])
async def test_what_a_mail_server_says_of_an_address_is_not_in_the_log(
    post: Post, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """P1: it repeats whom it refuses; the log has its code, and whoever sees the member has its words."""
    await people(post, "ada")
    says = "550 5.1.1 <ada@uni-example.org>: no such user"
    if where == "rcpt":
        post.server.rcpt["ada@uni-example.org"] = says
    elif where == "data":
        post.server.data = says
    else:
        post.server.mail = says

    await post.invite()
    await post.run()

    assert "550" in caplog.text
    assert "uni-example" not in caplog.text
    assert (await post.rows())[0]["told"] == says


async def test_without_settings_every_call_says_what_to_set(counter: Counter) -> None:
    await counter.group()
    order = {"kind": "invite"}

    answers = [
        await counter.admin.post("/api/v1/groups/swa/mail", order),
        await counter.admin.post("/api/v1/groups/swa/mail/preview", order),
        await counter.admin.post("/api/v1/mail/test", {"to": "ada@example.org"}),
    ]

    assert [answer.status for answer in answers] == [409] * 3
    assert all("TUCKSHOP_SMTP_URL" in answer.json["detail"] for answer in answers)
    assert "TUCKSHOP_SMTP_URL" in (await counter.admin.get("/api/v1/mail")).json["trouble"]


async def test_without_a_public_address_there_are_no_links(
    counter: Counter, server: MailServer
) -> None:
    post = make_post(counter, server, public_url=None)
    await counter.group()

    answer = await post.admin.post("/api/v1/groups/swa/mail", {"kind": "invite"})

    assert answer.status == 409
    assert "TUCKSHOP_PUBLIC_URL" in answer.json["detail"]


async def test_pages_and_filters(post: Post) -> None:
    ada, *_ = await people(post, *"abcde")
    await post.invite()
    await post.run(seconds=1)
    seen, cursor = [], None
    for _ in itertools.count():
        query = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = (await post.admin.get("/api/v1/mail", **query)).json
        seen += [row["to"][0] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == list("edcba")
    assert [row["to"][0] for row in await post.rows(state="sent")] == ["a"]
    assert len(await post.rows(group="swa", kind="invite")) == 5
    assert len(await post.rows(member=ada["id"])) == 1
    assert await post.rows(kind="test") == []


async def test_staff_of_one_group_see_its_mails_alone(post: Post) -> None:
    """K5."""
    await people(post, "ada")
    await post.invite()
    row = (await post.rows())[0]
    other = await post.counter.group(name="other")
    ta = Actor(kind="token", id="tok_1", role="assistant", groups=frozenset({other["id"]}))

    page = await post.mails.page(ta, MailFilter())
    with pytest.raises(NotFoundError):
        await post.mails.cancel(ta, row["id"])

    assert (page.data, page.counts) == ([], {})


async def test_what_staff_do_with_mails_is_audited_without_addresses(post: Post) -> None:
    """K16, P8."""
    await people(post, "ada")
    await post.invite()
    row = (await post.rows())[0]
    await post.admin.post(f"/api/v1/mail/{row['id']}/cancel")
    await post.admin.post(f"/api/v1/mail/{row['id']}/retry")
    await post.admin.post("/api/v1/mail/test", {"to": "me@example.org"})

    answer = await post.admin.get("/api/v1/audit", action="mail")

    assert [one["action"] for one in answer.json["data"]] == [
        "mail.test",
        "mail.retry",
        "mail.cancel",
        "mail.queue",
    ]
    assert b"example.org" not in answer.body


async def test_a_member_who_is_paused_by_a_strike_is_told_why_and_how_to_answer(post: Post) -> None:
    """Section 12: with a link of their own, which is made when the mail goes and stands in no row."""
    counter = post.counter
    counter.services.flag_notes.on_strike(post.mails.tell_of_strike)
    await counter.admin.patch("/api/v1/groups/swa", {"strikes": {"count": 2}})
    ada, bob = await people(post, "ada", "bob")
    group = (await counter.admin.get("/api/v1/groups/swa")).json

    for one in (ada, bob):
        key = await counter.key(one["id"])
        said = Said(counter, group, one, key)
        await said("one")
        if one is ada:
            await said("two")
    went = await post.run()

    assert went == ["ada@uni-example.org"]
    letter = post.server.received[0]
    assert letter.message["Subject"] == "Paused in Software architecture"
    (secret,) = re.findall(r"https://tuckshop.example.org/appeal/#([\w-]{43})", letter.text)
    shown = await AsgiClient(counter.app).send(
        "POST",
        "/api/v1/appeal/flags",
        body={"secret": secret},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert shown.status == 200, shown.body
    assert len(shown.json["data"]) == 2
    (mail,) = await post.rows(kind="paused")
    assert (mail["state"], mail["member"]) == ("sent", ada["id"])
    trail = (await counter.admin.get("/api/v1/audit", action="mail")).json["data"]
    assert trail[0]["after"] == {"kind": "paused", "mails": 1}


async def test_without_an_address_of_the_server_nobody_is_told_of_a_strike(
    counter: Counter, server: MailServer
) -> None:
    post = make_post(counter, server, public_url=None)
    counter.services.flag_notes.on_strike(post.mails.tell_of_strike)
    await counter.group(strikes={"count": 1})
    (ada,) = await people(post, "ada")
    group = (await counter.admin.get("/api/v1/groups/swa")).json

    await Said(counter, group, ada, await counter.key(ada["id"]))("one")

    assert (await counter.admin.get(f"/api/v1/members/{ada['id']}")).json["state"] == "paused"
    assert await post.rows() == []
