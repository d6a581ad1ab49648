"""From the grant to the wire: whatever goes wrong in between, the hold has an end (M6, M10, section 8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from tests.support.fake_clock import FakeClock
from tests.unit.gateway.relay_kit import (
    CHAT,
    COMPLETIONS,
    PRICES,
    FakeExchange,
    FakeLedger,
    FakeUpstream,
    holder,
)
from tuckshop.domain.errors import ServerBusyError
from tuckshop.domain.flags import NewFlag
from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import Granted, Hold, RefusedRow, Settlement, Void
from tuckshop.domain.rules.rules import Finding
from tuckshop.gateway.body_size import OFF_LOOP_BYTES, OFF_LOOP_VALUES, is_large
from tuckshop.gateway.callers import Callers
from tuckshop.gateway.drains import DrainLimits
from tuckshop.gateway.flood import FloodGate
from tuckshop.gateway.gateway import Gateway
from tuckshop.gateway.house_rules import HouseRules
from tuckshop.gateway.identify import Arrival
from tuckshop.gateway.ports import Priced, UpstreamManners
from tuckshop.ledger.arithmetic import amounts_at
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.body import BodyFacts, BodyLimits
from tuckshop.protocols.openai.contents import Contents
from tuckshop.protocols.openai.facts import read_body
from tuckshop.protocols.openai.long_texts import LongText
from tuckshop.protocols.openai.outgoing import Rewriting, rewrite
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.upstreams.circuit import PAUSE_S, REFUSALS_MIN
from tuckshop.upstreams.registry import Upstream

MESSAGES: Any = {"messages": [{"role": "user", "content": "Hi"}]}


class GrantingLedger(FakeLedger):
    """Gives what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.granted: Granted | None = None

    async def reserve(self, hold: Hold) -> Granted:
        cap = hold.cap.greatest if hold.cap.wanted is None else hold.cap.wanted
        self.granted = Granted(
            request_id=hold.request_id, position=1, at_us=1, cap=cap, lowered_by=None,
            held=amounts_at(hold, cap), limits=(), readings=(), queue_ms=0,
        )  # fmt: skip
        return self.granted

    def refuse(self, row: RefusedRow) -> None:
        self.refused.append(row.error)

    def pin_price(self, price_id: str, content: str) -> None: ...


class FakePool:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sent: list[dict[str, Any]] = []

    def open(
        self, method: str, path: str, headers: object, body: bytes, receiver: object, **_: object
    ) -> FakeUpstream:
        if self.error is not None:
            raise self.error
        self.sent.append(json.loads(body))
        return FakeUpstream()


class NoCounter:
    """Whose bound fits needs none."""

    async def count(self, encoding: str, texts: Sequence[bytes], *, asker: str) -> list[int] | None:
        raise AssertionError("nothing was to be counted")

    async def decode(self, *_: object, **__: object) -> list[str | None] | None:
        raise AssertionError("nothing was to be decoded")


class NoFlags:
    """Nothing is to be flagged."""

    def note(self, flag: NewFlag) -> None:
        raise AssertionError(flag)


class BodiesHere:
    """Reads bodies without a process of its own."""

    def __init__(self) -> None:
        self.on_rewrite: Callable[[], None] = lambda: None

    async def understand(
        self, endpoint: Endpoint, body: bytes, **_: object
    ) -> tuple[BodyFacts, tuple[Finding, ...]]:
        return read_body(endpoint, body, pass_unknown=False)[1], ()

    async def texts(self, endpoint: Endpoint, body: bytes, **_: object) -> Sequence[LongText]:
        raise AssertionError("nothing was to be counted")

    async def rewrite(self, endpoint: Endpoint, body: bytes, how: Rewriting, **_: object) -> bytes:
        self.on_rewrite()
        return rewrite(endpoint, *read_body(endpoint, body, pass_unknown=False), how) or body

    async def contents(self, endpoint: Endpoint, body: bytes, **_: object) -> Contents:
        raise AssertionError("nothing was to be checked")


def upstream(pool: FakePool, **fields: Any) -> Upstream:
    """One that serves everything, called `openai` unless said."""
    return Upstream(
        **{
            "name": "openai",
            "profile": "openai",
            "models": None,
            "pool": cast("Any", pool),
            "credential": "sk-real",
            **fields,
        }
    )


class FakeUpstreams:
    """Those it was given, in this order."""

    def __init__(self, *upstreams: Upstream) -> None:
        self.all = list(upstreams)

    def get(self, name: str) -> Upstream | None:
        return next((one for one in self.all if one.name == name), None)

    def named_in(self, asked: str) -> Upstream | None:
        return self.get(asked.partition("/")[0]) if "/" in asked else None

    def serving(self, model: str, priced: Priced) -> Upstream | None:
        return next((one for one in self.all if one.serves(model) and priced(one.name)), None)

    def lists(self, model: str) -> bool:
        return False

    @property
    def is_usable(self) -> bool:
        return any(one.credential for one in self.all)


class Door:
    """A gateway, and one call that comes in."""

    def __init__(self, *, error: Exception | None = None, profile: Any = "openai") -> None:
        self.ledger = GrantingLedger()
        self.pool = FakePool(error)
        self.holder: Holder | None = holder()
        self.exchange = FakeExchange()
        self.bodies = BodiesHere()
        self.upstreams = FakeUpstreams(upstream(self.pool, profile=profile))

    holds_foreign_keys = False

    def find(self, digest: bytes, now_us: int) -> Holder | None:
        return self.holder

    def handle(self, endpoint: Any = CHAT, **body: Any) -> None:
        asyncio.run(self._handle(endpoint, **body))

    async def _handle(self, endpoint: Endpoint = CHAT, **body: Any) -> None:
        gateway = Gateway(
            directory=self,
            ledger=self.ledger,
            prices=PRICES,
            counter=NoCounter(),
            bodies=self.bodies,
            moderator=cast(
                "Any", None
            ),  # the policy asks for no check, so nobody is asked (section 12)
            upstreams=self.upstreams,
            manners=UpstreamManners(
                pseudonym_of=lambda member_id: "tuck-x", gap_s=60, reasoning_gap_s=600
            ),
            clock=FakeClock(),
            flood=FloodGate(per_second=1, burst=1),
            drains=DrainLimits(),
            body_limits=BodyLimits(),
            body_max_bytes={"": 1 << 30},
            reply_limits=ReplyLimits(event_max_bytes={"chunks": 1 << 20, "typed": 1 << 20}),
            callers=Callers(b"a key"),
            house_rules=HouseRules(clock=FakeClock(), flags=NoFlags(), secret=b"a secret"),
            loop=asyncio.get_running_loop(),
        )
        assert self.holder is not None
        exchange = cast("Any", self.exchange)
        exchange.context = Arrival(
            request_id="req_1", digest=b"d" * 32, holder=self.holder, endpoint=endpoint, tag=None
        )
        exchange.body = json.dumps(
            {"model": "gpt-4o-mini", **({} if "prompt" in body else MESSAGES), **body}
        ).encode()
        exchange.client_left = False
        await gateway.handle(exchange)


def test_what_cannot_be_sent_at_all_is_void() -> None:
    door = Door(error=ValueError("a header field holds a line break"))

    door.handle()

    (only,) = door.ledger.resolutions
    assert isinstance(only, Void)
    assert door.exchange.status == 503


def test_a_fault_in_the_middle_of_sending_costs_the_bound() -> None:
    door = Door(error=RuntimeError("a mistake"))

    door.handle()

    (only,) = door.ledger.resolutions
    assert isinstance(only, Settlement)
    assert door.ledger.granted is not None
    assert only.charged == door.ledger.granted.held
    assert only.flags == {"unconfirmed"}


@pytest.mark.parametrize("padding", [0, OFF_LOOP_BYTES])
def test_a_fault_in_writing_the_body_is_void(monkeypatch: pytest.MonkeyPatch, padding: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("tuckshop.gateway.gateway.rewrite", fail)
    door = Door()
    door.bodies.on_rewrite = fail

    door.handle(user="x" * padding)

    (only,) = door.ledger.resolutions
    assert isinstance(only, Void)
    assert door.exchange.status == 503


def test_a_key_that_is_revoked_while_a_large_body_is_written_sends_nothing() -> None:
    door = Door()

    def revoke() -> None:
        door.holder = None

    door.bodies.on_rewrite = revoke

    door.handle(user="x" * OFF_LOOP_BYTES)

    assert door.pool.sent == []
    (only,) = door.ledger.resolutions
    assert isinstance(only, Void)
    assert door.exchange.status == 401


def test_a_large_body_is_sent_as_a_small_one_is() -> None:
    door = Door()

    door.handle(user="x" * OFF_LOOP_BYTES)
    door.handle(logit_bias=dict.fromkeys(map(str, range(OFF_LOOP_VALUES)), 1))

    assert [body["safety_identifier"] for body in door.pool.sent] == ["tuck-x", "tuck-x"]
    assert "user" not in door.pool.sent[0]


@pytest.mark.parametrize(
    ("body", "large"),
    [
        (b'{"a":"' + b"x" * (OFF_LOOP_BYTES - 8) + b'"}', False),
        (b'{"a":"' + b"x" * OFF_LOOP_BYTES + b'"}', True),
        (b'{"a":[' + b"1.50," * (OFF_LOOP_VALUES - 3) + b"1]}", False),
        (b'{"a":[' + b"1.50," * OFF_LOOP_VALUES + b"1]}", True),
        (b"[" * (OFF_LOOP_VALUES + 1), True),
    ],
)
def test_what_takes_long_to_read_is_large(body: bytes, large: bool) -> None:
    """Section 8: by its bytes, or by how many values there are."""
    assert is_large(body) is large


@pytest.mark.parametrize(
    ("profile", "wish", "expected"),
    [
        ("openai", {}, {}),
        ("openai", {"max_completion_tokens": 7}, {"max_completion_tokens": 7}),
        ("compatible", {}, {"max_tokens": 16_384}),
        ("compatible", {"max_completion_tokens": 7}, {"max_tokens": 7}),
    ],
)
def test_a_server_whose_own_maximum_is_unknown_is_told_the_cap_that_is_held(
    profile: str, wish: dict[str, int], expected: dict[str, int]
) -> None:
    door = Door(profile=profile)

    door.handle(**wish)

    (sent,) = door.pool.sent
    assert {name: value for name, value in sent.items() if name.startswith("max_")} == expected


def test_who_has_no_money_takes_no_turn_at_an_upstream_that_refused_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Section 10: else whoever calls all the time for nothing would keep everybody out for good."""
    door = Door()
    circuit = door.upstreams.all[0].circuit
    for _ in range(REFUSALS_MIN):
        circuit.refused(FakeClock().monotonic_s() - 2 * PAUSE_S)

    with monkeypatch.context() as patch:
        patch.setattr(door.ledger, "reserve", _refuse)
        door.handle()
    assert door.pool.sent == []

    door.handle()
    assert len(door.pool.sent) == 1

    door.exchange = FakeExchange()
    door.handle()
    assert len(door.pool.sent) == 1
    assert door.exchange.status == 502


async def _refuse(hold: Hold) -> Granted:
    raise ServerBusyError("it has no money")


@pytest.mark.parametrize(("profile", "status"), [("compatible", 400), ("openai", 0)])
def test_no_tokens_at_all_is_a_wish_that_a_compatible_server_is_not_asked(
    profile: str, status: int
) -> None:
    """M5: to some of them 0 is no cap, and nothing would be held for what they say."""
    door = Door(profile=profile)

    door.handle(COMPLETIONS, model="gpt-3.5-turbo-instruct", prompt="Hi", max_tokens=0)

    assert len(door.pool.sent) == (status == 0)
    assert door.exchange.status == status


@pytest.mark.parametrize(("profile", "at_most"), [("compatible", 1 << 20), ("openai", 128_000)])
def test_the_window_of_the_price_list_bounds_the_providers_own_models_alone(
    profile: str, at_most: int
) -> None:
    """M5: a compatible server may run a model with a wider one under the same name, and bill all that it read."""
    door = Door(profile=profile)
    sent = 200_000

    door.handle(messages=[{"role": "user", "content": "x" * sent}])

    assert door.ledger.granted is not None
    assert min(sent, at_most) <= door.ledger.granted.held.input_tokens <= at_most
