"""Rules in the course of a call: before anything is held, and written down without what was said."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as replaced

from tests.support.fake_clock import FakeClock
from tests.unit.gateway.relay_kit import holder
from tuckshop.domain.errors import (
    DeniedContentError,
    EndpointNotAllowedError,
    NetworkNotAllowedError,
    OutsideHoursError,
    PersonalDataError,
    ServerBusyError,
)
from tuckshop.domain.flags import NewFlag
from tuckshop.domain.rules.rules import Finding, Rules, SystemPrompt
from tuckshop.gateway.house_rules import (
    PATTERNS_ON_LOOP_BYTES,
    TEXTS_ON_LOOP_BYTES,
    HouseRules,
    is_long,
)
from tuckshop.gateway.identify import Arrival
from tuckshop.protocols.openai.table import route

SECRET = b"a secret"
FOUND = Finding(
    reasons=("pii.email",), action="noted", digest=b"d" * 32, is_own=True, param="messages[0]"
)


class Notes:
    """What was noted."""

    def __init__(self) -> None:
        self.flags: list[NewFlag] = []

    def note(self, flag: NewFlag) -> None:
        self.flags.append(flag)


def arrival(rules: Rules, path: str = "/v1/chat/completions") -> Arrival:
    who = holder()
    who = replace(who, group=replace(who.group, rules=rules))
    return Arrival(
        request_id="req_1",
        digest=b"d" * 32,
        holder=who,
        endpoint=route("POST", path),
        tag=None,
    )


def rules(notes: Notes | None = None) -> HouseRules:
    return HouseRules(clock=FakeClock(), flags=notes or Notes(), secret=SECRET)


@pytest.mark.parametrize(
    ("networks", "peer", "may"),
    [
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "11.1.2.3", False),
        (("10.0.0.0/8",), "", False),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "10.1.2.3", False),
        ((), "10.1.2.3", False),
        (None, "", True),
    ],
)
def test_a_call_comes_from_an_allowed_network_or_not_at_all(
    networks: Any, peer: str, may: bool
) -> None:
    call = arrival(Rules(networks=networks))
    if may:
        assert rules().let_in(call, peer).rules == call.rules == call.holder.group.rules
    else:
        with pytest.raises(NetworkNotAllowedError):
            rules().let_in(call, peer)


def test_outside_of_its_hours_a_call_is_told_when_it_opens() -> None:
    with pytest.raises(OutsideHoursError) as caught:
        rules().let_in(arrival(Rules(hours=())), "10.0.0.1")
    assert caught.value.opens_at is None

    rules().let_in(arrival(Rules(hours=("Mon-Sun 00:00-24:00",))), "10.0.0.1")


def test_a_system_prompt_closes_what_has_no_place_for_it() -> None:
    prompt = Rules(system_prompt=SystemPrompt(text="Teach."))

    with pytest.raises(EndpointNotAllowedError) as caught:
        rules().let_in(arrival(prompt, "/v1/completions"), "10.0.0.1")
    assert caught.value.allowed == ("chat", "responses")
    rules().let_in(arrival(prompt, "/v1/embeddings"), "10.0.0.1")


def test_rules_are_made_ready_once_and_anew_when_they_change() -> None:
    house = rules()
    first = house.let_in(arrival(Rules(deny_words=("a",))), "")

    assert house.let_in(arrival(Rules(deny_words=("a",))), "") is first
    assert house.let_in(arrival(Rules(deny_words=("b",))), "") is not first


def test_a_rule_that_cannot_be_read_any_more_lets_nothing_through() -> None:
    with pytest.raises(ServerBusyError):
        rules().let_in(arrival(Rules(deny_patterns=("(",))), "")


def test_a_finding_becomes_a_flag_that_holds_a_keyed_digest() -> None:
    notes = Notes()
    call = arrival(Rules())

    rules(notes).take_note(call, [FOUND, replaced(FOUND, action="redacted", is_own=False)])

    first, second = notes.flags
    assert (first.source, first.action, first.reasons) == ("rule", "noted", ("pii.email",))
    assert first.content == hmac.digest(SECRET, FOUND.digest, "sha256")
    assert first.member_id == call.holder.member.id
    assert (first.is_own, second.is_own, second.action) == (True, False, "redacted")


@pytest.mark.parametrize(
    ("reasons", "refusal"),
    [
        (("deny_words",), DeniedContentError),
        (("deny_patterns", "pii.iban"), DeniedContentError),
        (("pii.email", "pii.iban"), PersonalDataError),
    ],
)
def test_what_is_blocked_is_flagged_and_refused(reasons: Any, refusal: Any) -> None:
    notes = Notes()

    with pytest.raises(refusal) as caught:
        rules(notes).take_note(
            arrival(Rules()), [FOUND, replaced(FOUND, reasons=reasons, action="blocked")]
        )

    assert caught.value.param == "messages[0]"
    assert [flag.action for flag in notes.flags] == ["noted", "blocked"]


def test_what_takes_time_is_not_done_on_the_loop() -> None:
    house = rules()
    for held, most in (
        (Rules(deny_words=("a",)), TEXTS_ON_LOOP_BYTES),
        (Rules(pii={"email": "flag"}), TEXTS_ON_LOOP_BYTES),
        (Rules(deny_patterns=("a",)), PATTERNS_ON_LOOP_BYTES),
    ):
        book = house.let_in(arrival(held), "")
        assert not is_long(book, b"x" * most)
        assert is_long(book, b"x" * (most + 1))
    assert not is_long(house.let_in(arrival(Rules(max_input_tokens=5)), ""), b"x" * 1_000_000)
