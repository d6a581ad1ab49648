"""Mails on events: to staff, gathered, and to members where that is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_grants import spend
from tests.integration.api.test_mails import Post, make_post
from tests.support.smtp_server import MailServer, mail_server
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.notices import Notice
from tuckshop.services.notices.assembly import assemble_notices
from tuckshop.services.notices.notifier import WATCH_S, Notifier
from tuckshop.storage.notices import post as post_notice
from tuckshop.upstreams.posting import connect_straight

pytestmark = pytest.mark.anyio

ADA, OPS = "ada@example.org", "ops@example.org"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as one:
        yield one


@pytest.fixture
async def post(counter: Counter, server: MailServer) -> AsyncIterator[Post]:
    """A counter whose notices go out by this mail server."""
    post = make_post(counter, server)
    await counter.group(
        title="Software architecture", each=["$0.20/month"], time_zone="Europe/Berlin"
    )
    yield post
    await post.mails.close()


def with_mails(counter: Counter, post: Post) -> Notifier:
    """The notices of a server that has mail."""
    told = assemble_notices(
        directory=counter.services.directory,
        changes=counter.services.changes,
        ledger=counter.ledger,
        writer=counter.writer,
        database=counter.database,
        clock=counter.clock,
        registry=counter.registry,
        sealer=counter.services.webhooks._sealer,
        is_own=lambda base_url: False,
        connect=connect_straight,
        mails=post.mails,
        alarms=dict,
    )
    return told.notifier


async def set_mails(counter: Counter, where: str = "groups/swa", **body: Any) -> dict[str, Any]:
    answer = await counter.admin.send("PUT", f"/api/v1/{where}/notify", body=body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def tell(counter: Counter, notifier: Notifier, kind: Any = "flag", **fields: Any) -> None:
    notice = Notice(kind=kind, workspace_id=DEFAULT_WORKSPACE, **fields)
    await counter.writer.transact(lambda transaction: post_notice(transaction, notice))
    await notifier._subscriptions.read()
    await notifier.step()


async def test_staff_get_one_mail_for_what_comes_together(
    counter: Counter, post: Post, server: MailServer
) -> None:
    """K13: ids and numbers; nobody's name stands in it."""
    notifier = with_mails(counter, post)
    member = await counter.member(name="Ada Lovelace", email="student@example.org")
    await set_mails(counter, mails=[ADA])
    about = {"group_id": member["group"], "member_id": member["id"]}

    for number in range(3):
        await tell(counter, notifier, facts={"flag": f"flg_{number}"}, **about)
    assert await post.run(seconds=59) == []
    assert await post.run(seconds=61) == [ADA]
    for number in range(3, 5):
        await tell(counter, notifier, facts={"flag": f"flg_{number}"}, **about)
    await tell(counter, notifier, "strike", **about)
    assert await post.run(seconds=120) == [ADA]  # of the other kind
    assert await post.run(seconds=1000) == [ADA]

    first, strike, second = server.received
    assert first.message["subject"] == "Software architecture: flagged contents (3)"
    assert [f"flg_{number}" in first.text for number in range(5)] == [True] * 3 + [False] * 2
    assert [f"flg_{number}" in second.text for number in range(5)] == [False] * 3 + [True] * 2
    assert "paused for what was flagged" in strike.message["subject"]
    assert "2026-11-24 07:00" in first.text  # in the group's zone
    for one in server.received:
        assert "Lovelace" not in one.raw.decode()
        assert "4711" not in one.raw.decode()


async def test_each_gets_what_they_are_set_up_for(counter: Counter, post: Post) -> None:
    notifier = with_mails(counter, post)
    other = await counter.group(name="other")
    swa = (await counter.admin.get("/api/v1/groups/swa")).json
    await set_mails(counter, mails=[ADA], kinds=["strike"])
    await set_mails(counter, "workspace", mails=[OPS, ADA], kinds=["strike", "alarm"])

    await tell(counter, notifier, "flag", group_id=swa["id"])
    await tell(counter, notifier, "strike", group_id=swa["id"])
    assert sorted(await post.run(seconds=90)) == [ADA, OPS]  # and nobody twice
    await tell(counter, notifier, "strike", group_id=other["id"])
    await tell(counter, notifier, "alarm", facts={"alarm": "overrun", "count": 1})
    assert sorted(await post.run(seconds=90)) == [ADA, ADA, OPS, OPS]
    subjects = {str(one.message["subject"]) for one in post.server.received[-4:]}
    assert subjects == {"other: paused for what was flagged", "Tuckshop: an alarm"}


async def test_members_hear_of_their_own_budget_where_that_is_wanted(
    counter: Counter, post: Post, server: MailServer
) -> None:
    notifier = with_mails(counter, post)
    ada = await counter.member(external_id="1", name="Ada", email="student@example.org")
    nobody = await counter.member(external_id="2", name="Bob")
    await set_mails(counter, members=True)
    for member in (ada, nobody):
        await spend(counter, member, 17)
    await counter.ledger.flush()

    await notifier._subscriptions.read()
    await notifier.step()
    sent = await post.run(seconds=90)
    await spend(counter, ada, 3)
    await counter.ledger.flush()
    counter.clock.advance(WATCH_S)
    await notifier.step()

    assert sent == ["student@example.org"]
    assert await post.run(seconds=90) == ["student@example.org"]
    first, second = server.received
    assert first.message["subject"] == "Software architecture: 80 % of your budget is used"
    assert "of $0.20 that you may spend in Software architecture ($0.20/month)" in first.text
    assert "you have used $0.17" in first.text
    assert second.message["subject"].startswith("Software architecture: 100 %")


async def test_without_anybody_to_mail_nobody_is_mailed(counter: Counter, post: Post) -> None:
    notifier = with_mails(counter, post)
    await set_mails(counter, mails=[ADA])
    await set_mails(counter)
    await tell(counter, notifier)

    assert notifier._subscriptions.is_empty
    assert await post.run(seconds=90) == []
    kept = (await counter.admin.get("/api/v1/groups/swa/notify")).json
    assert kept["mails"] == []


async def test_it_is_read_as_it_was_set_and_the_trail_holds_no_address(counter: Counter) -> None:
    """P8, K16."""
    await counter.group()
    sent: dict[str, Any] = {
        "mails": ["Ada@Example.org", ADA, OPS],
        "kinds": ["strike", "flag"],
        "members": True,
    }
    answer = await set_mails(counter, **sent)

    assert answer["mails"] == ["Ada@example.org", ADA, OPS]
    assert (answer["kinds"], answer["members"]) == (["flag", "strike"], True)
    assert "TUCKSHOP_SMTP_URL" in answer["trouble"]
    bad = await counter.admin.send(
        "PUT", "/api/v1/groups/swa/notify", body={"mails": [ADA, "nobody", "a@b\r\nBcc: c@d"]}
    )
    assert [one["field"] for one in bad.json["errors"]] == ["mails[1]", "mails[2]"]
    (row,) = (await counter.admin.get("/api/v1/audit", action="notify")).json["data"]
    assert row["after"] == {"mails": 3, "kinds": ["flag", "strike"], "members": True}


async def test_an_owner_sets_it_for_their_groups_alone(counter: Counter) -> None:
    """K4, K5."""
    await counter.group()
    await counter.group(name="other")
    owner = await counter.staff("owner")

    own = await owner.send("PUT", "/api/v1/groups/swa/notify", body={"mails": [ADA]})
    others = await owner.send("PUT", "/api/v1/groups/other/notify", body={"mails": [ADA]})
    everyones = await owner.send("PUT", "/api/v1/workspace/notify", body={"mails": [ADA]})

    assert (own.status, others.status, everyones.status) == (200, 404, 403)
