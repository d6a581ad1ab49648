"""A ledger for tests: its engine driven batch by batch without a thread, or the whole with its writer."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from tests.support.fake_clock import FakeClock
from tuckshop.domain.clock import Clock
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.limits import parse_limit
from tuckshop.domain.reservation import (
    Amounts,
    CapWish,
    Hold,
    HoldTerms,
    LimitInForce,
    Outcome,
    Scope,
    Settlement,
    Void,
)
from tuckshop.domain.windows import ZoneHistory
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.ledger import Ledger
from tuckshop.ledger.operations import Reserve
from tuckshop.storage import schema
from tuckshop.storage.batch import Submission
from tuckshop.storage.database import CLOCK_ACCEPTED, Database, prepare
from tuckshop.storage.rows import text_of_zone
from tuckshop.storage.transaction import Transaction
from tuckshop.storage.writer import Writer

UTC = ZoneHistory.of("UTC")
GROUP = "grp_a"
CENT = 10_000_000  # nano-USD


@dataclass(frozen=True)
class Person:
    """Who calls: a key of a member of a group."""

    key: str = "key_a"
    member: str = "mem_a"
    group: str = GROUP

    def scope(self, kind: str) -> Scope:
        """One of the chain."""
        match kind:
            case "key":
                return Scope("key", self.key)
            case "member":
                return Scope("member", self.member)
            case "group":
                return Scope("group", self.group)
            case _:
                return Scope("workspace", DEFAULT_WORKSPACE)


ANNA = Person()
BEN = Person("key_b", "mem_b")

_numbers = itertools.count(1)


def in_force(
    text: str, kind: str = "member", person: Person = ANNA, zone: ZoneHistory = UTC
) -> LimitInForce:
    """A limit written as people do, at one of *person*'s scopes."""
    return LimitInForce(
        scope=person.scope(kind), limit=parse_limit(text), zone=zone, amounts_visible=True
    )


def hold(
    *limits: LimitInForce | str,
    person: Person = ANNA,
    request_id: str | None = None,
    version: int = 1,
    model: str = "gpt-4o-mini",
    aliases: tuple[str, ...] = (),
    endpoint_group: str = "chat",
    input_tokens: int = 100,
    images: int = 0,
    wanted: int | None = 100,
    greatest: int = 16_384,
    least: int = 16,
    choices: int = 1,
    input_nano: int = 150_000_000,
    output_nano: int = 600_000_000,
    fees: int = 0,
    patience_s: float = 0.0,
) -> Hold:
    """A call like many; a limit given as text counts at the member."""
    return Hold(
        request_id=request_id or f"req_{next(_numbers):06}",
        workspace_id=DEFAULT_WORKSPACE,
        group_id=person.group,
        member_id=person.member,
        key_id=person.key,
        directory_version=version,
        limits=tuple(
            in_force(limit, person=person) if isinstance(limit, str) else limit for limit in limits
        ),
        endpoint="chat.completions",
        endpoint_group=endpoint_group,
        model=model,
        model_aliases=aliases,
        upstream="openai",
        terms=HoldTerms(
            price_id="price",
            input_nano_per_million=input_nano,
            output_nano_per_million=output_nano,
            fees_nano=fees,
        ),
        input_tokens=input_tokens,
        images=images,
        cap=CapWish(
            wanted=wanted,
            greatest=greatest,
            least=min(least, greatest if wanted is None else wanted),
            choices=choices,
        ),
        patience_s=patience_s,
    )


def settlement(request_id: str, charged: Amounts, **more: Any) -> Settlement:
    """The end of a call that used *charged*."""
    return Settlement(
        request_id=request_id,
        charged=charged,
        cached_tokens=more.pop("cached_tokens", 0),
        outcome=Outcome(http_status=200),
        **more,
    )


def void(request_id: str) -> Void:
    """The end of a call that was not billed."""
    return Void(request_id=request_id, outcome=Outcome(http_status=502))


def make_people(transaction: Transaction, groups: Sequence[str] = (GROUP,)) -> None:
    """The rows that the ledger itself looks at: workspace and groups."""
    execute = transaction.connection.execute
    execute(
        insert(schema.workspaces).values(
            id=DEFAULT_WORKSPACE, name="default", zone_changes=text_of_zone(UTC), created_at=0
        )
    )
    for group in groups:
        execute(
            insert(schema.groups).values(
                workspace_id=DEFAULT_WORKSPACE,
                id=group,
                name=group,
                zone_changes=text_of_zone(UTC),
                min_output_tokens=1024,
                patience_s=20,
                on_disconnect="drain",
                unknown_parameters="refuse",
                show_shared=False,
                state="active",
                created_at=0,
            )
        )


@dataclass
class Desk:
    """The engine over a real ledger file, one transaction per call, on the test's own thread."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    boot: int = 0

    def __post_init__(self) -> None:
        self.parked: dict[int, Submission] = {}
        self.answers: dict[str, object] = {}  # of those who waited, by request id
        self.open()

    def open(self) -> None:
        """Start, as after a stop or a crash."""
        self.boot += 1
        self.database = prepare(self.folder, durability="process")
        self.session = self.database.open_session()
        self.engine = Engine(self.clock, boot_id=f"boot_{self.boot}")
        transaction = self.session.transaction
        self.session.begin(self.clock.now_us())
        if not transaction.cursor.execute("SELECT 1 FROM workspaces").fetchall():
            make_people(transaction)
        self.engine.load(transaction, ())
        self.session.commit()

    def close(self) -> None:
        """Stop without a word: what is committed is all there is."""
        self.session.close()
        self.database.close()

    def reopen(self) -> None:
        """Crash, and start anew."""
        self.close()
        self.open()

    def accept_clock(self) -> None:
        """Leave the trace that an operator's `clock accept` leaves: rows may be dated later than now."""
        self.session.begin(self.clock.now_us())
        self.session.transaction.remember(f"{CLOCK_ACCEPTED}{DEFAULT_WORKSPACE}", "0")
        self.session.commit()

    def do(self, *operations: object, fail: bool = False) -> list[Any]:
        """
        One batch. The answers to *operations*, in order; None for what waits or says nothing.

        fail: roll back at the end, as when the disk is full.
        """
        submissions = [
            Submission(
                Reserve(op, self.clock.monotonic_s()) if isinstance(op, Hold) else op, None, False
            )
            for op in operations
        ]
        self.session.begin(self.clock.now_us())
        self.engine.begin(self.session.transaction)
        answers = [*self.engine.apply(submissions), *self.engine.finish()]
        if fail:
            self.session.roll_back()
            self.engine.rolled_back()
            return []
        self.session.commit()
        self.engine.committed()
        by_submission = {id(submission): answer for submission, answer in answers}
        for submission, answer in answers:
            if isinstance(submission.operation, Reserve):
                self.answers[submission.operation.hold.request_id] = answer
        return [by_submission.get(id(submission)) for submission in submissions]

    def one(self, operation: object) -> Any:
        """A batch of one."""
        return self.do(operation)[0]

    def change(self, work: Any) -> Any:
        """A change that staff make, in a batch of its own."""
        self.session.begin(self.clock.now_us())
        self.engine.begin(self.session.transaction)
        try:
            result = work(self.session.transaction)
        except BaseException:
            self.session.roll_back()
            self.engine.rolled_back()
            raise
        for submission, answer in self.engine.finish():
            self.answers[submission.operation.hold.request_id] = answer
        self.session.commit()
        self.engine.committed()
        return result

    def state(self, limit: LimitInForce) -> Any:
        """How a limit stands."""
        (state,) = self.change(lambda transaction: self.engine.states(transaction, [limit]))
        return state

    def rows(self, query: str, *parameters: object) -> list[Any]:
        """What the database says."""
        return self.session.driver.execute(query, parameters).fetchall()


@asynccontextmanager
async def serving(
    folder: Path,
    clock: Clock,
    *,
    durability: Any = "process",
    boot: str = "boot_1",
    groups: Sequence[str] = (GROUP,),
) -> AsyncIterator[tuple[Ledger, Writer, Database]]:
    """The whole ledger, with its writer's thread."""
    database = prepare(folder, durability=durability)
    engine = Engine(clock, boot_id=boot)
    writer = Writer(database, clock, handler=engine, space_min_bytes=0)
    await writer.start()
    ledger = Ledger(writer, engine, database, clock)

    def found(transaction: Transaction) -> None:
        if not transaction.cursor.execute("SELECT 1 FROM workspaces").fetchall():
            make_people(transaction, groups)

    try:
        await writer.transact(found)
        yield ledger, writer, database
    finally:
        await writer.close()
        database.close()
