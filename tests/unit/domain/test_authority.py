"""K6: whatever staff may change, the members of their groups can never do more than the operator gave."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.actor import OPERATOR, Actor, StaffRole
from tuckshop.domain.authority import (
    Authority,
    beyond_in_more_money,
    beyond_in_shared_reset,
    first_loosened,
    has_shared_money,
)
from tuckshop.domain.body_logging import Logging
from tuckshop.domain.limits import Metric, Selector, parse_limit
from tuckshop.domain.policy import Policy, policy_of
from tuckshop.domain.records import Group, Holder, Member, VirtualKey, Workspace
from tuckshop.domain.reservation import CarryOver
from tuckshop.domain.windows import ZoneHistory

ZONE = ZoneHistory.of("UTC")
OPEN = ("chat", "embeddings")
CLOSED = ("batches",)
AUTHORITY = Authority(open_endpoints=OPEN)
GROUP = Group(
    id="grp_1",
    workspace_id="wsp_1",
    name="swa",
    title="",
    zone=ZONE,
    each=(),
    shared=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    min_output_tokens=1024,
    patience_s=20,
    on_disconnect="drain",
    unknown_parameters="refuse",
    show_shared=False,
    state="active",
)
MEMBER = Member(
    id="mem_1",
    group_id="grp_1",
    external_id="4711",
    name=None,
    email=None,
    limits=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    state="active",
)
KEY = VirtualKey(
    id="key_1",
    group_id="grp_1",
    member_id="mem_1",
    name=None,
    digest=b"",
    last4="0000",
    limits=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    tags=(),
    expires_at_us=None,
    state="active",
)

MODELS = ("gpt-4o", "gpt-4o-mini", "o3", "org/gpt-4o")
limits = st.lists(
    st.sampled_from(
        [
            parse_limit(text)
            for text in (
                "$1/month",
                "$5/month",
                "$50/month",
                "$1 total",
                "$2/day on gpt-4o",
                "$9/day on gpt-4o",
                "10 requests/minute",
                "35 requests/minute",
                "4 concurrent requests",
            )
        ]
    ),
    max_size=3,
    unique=True,
).map(tuple)
models = st.none() | st.lists(
    st.sampled_from(["*", "gpt-*", "gpt-4o", "*-mini", "o3", "*/*", "g*o*"]), max_size=3
).map(tuple)
endpoints = st.none() | st.lists(
    st.sampled_from(["*", "chat", "ch*", "embeddings", "batches", "b*"]), max_size=3
).map(tuple)
caps = st.none() | st.integers(1, 3)
groups = st.builds(
    lambda **policy: replace(GROUP, **policy),
    each=limits,
    shared=limits,
    models=models,
    endpoints=endpoints,
    max_output_tokens=caps,
    unknown_parameters=st.sampled_from(["refuse", "pass"]),
    state=st.sampled_from(["active", "paused", "archived"]),
)
members = st.builds(
    lambda **policy: replace(MEMBER, **policy),
    limits=limits,
    models=models,
    endpoints=endpoints,
    max_output_tokens=caps,
)


def staff(role: StaffRole) -> Actor:
    return Actor(kind="token", id="tok_1", role=role, groups=frozenset({"grp_1"}))


def policy(group: Group, member: Member) -> Policy:
    workspace = Workspace(id="wsp_1", zone=ZONE)
    return policy_of(
        Holder(key=KEY, member=member, group=group, workspace=workspace, directory_version=0)
    )


def assert_no_more(group: Group, before: Policy, after: Policy) -> None:
    """What *after* opens *before* opened; and the money is bounded as it was."""
    for model in MODELS:
        assert before.may_model(model) or not after.may_model(model)
    for name in OPEN:
        was_open = before.may_endpoint(name, default_open=True)
        assert was_open or not after.may_endpoint(name, default_open=True)
    for name in CLOSED:
        was_open = before.may_endpoint(name, default_open=False)
        assert was_open or not after.may_endpoint(name, default_open=False)
    if before.max_output_tokens is not None:
        assert after.max_output_tokens is not None
        assert after.max_output_tokens <= before.max_output_tokens
    for scope in ("group", "member"):
        if scope == "member" and has_shared_money(group):
            continue  # dealt out freely below the sum
        old, new = (
            [one.limit for one in each.limits if one.scope.kind == scope]
            for each in (before, after)
        )
        assert first_loosened(old, new) is None


@given(before=groups, after=groups, member=members)
def test_an_owner_widens_nothing_that_a_group_has(
    before: Group, after: Group, member: Member
) -> None:
    """K6."""
    beyond = AUTHORITY.beyond_in_group(staff("owner"), before, after)
    after = replace(after, **{one.field: getattr(before, one.field) for one in beyond})

    assert AUTHORITY.beyond_in_group(staff("owner"), before, after) == []
    assert_no_more(before, policy(before, member), policy(after, member))
    assert has_shared_money(before) == has_shared_money(after)  # or the next step would be free
    assert "archived" not in (before.state, after.state) or before.state == after.state


@given(group=groups, before=members, after=members)
def test_an_owner_gives_a_member_no_more_than_the_group_has(
    group: Group, before: Member, after: Member
) -> None:
    """K6: models, endpoints and cap stay within the group's, and money within what bounds it."""
    beyond = AUTHORITY.beyond_in_member(staff("owner"), group, before, after)
    after = replace(after, **{one.field: getattr(before, one.field) for one in beyond})

    assert AUTHORITY.beyond_in_member(staff("owner"), group, before, after) == []
    held, has = policy(group, MEMBER), policy(group, after)
    was = policy(group, before)
    for model in MODELS:
        assert held.may_model(model) or not has.may_model(model)
    for name in OPEN:
        was_open = held.may_endpoint(name, default_open=True)
        assert was_open or not has.may_endpoint(name, default_open=True)
    for name in CLOSED:
        was_open = any(each.may_endpoint(name, default_open=False) for each in (held, was))
        assert was_open or not has.may_endpoint(name, default_open=False)
    if not has_shared_money(group):
        old, new = (
            [one.limit for one in each.limits if one.scope.kind == "member"] for each in (was, has)
        )
        assert first_loosened(old, new) is None


@given(group=groups, before=members, after=members)
def test_an_assistant_leaves_what_members_may_use(
    group: Group, before: Member, after: Member
) -> None:
    """K6."""
    beyond = AUTHORITY.beyond_in_member(staff("assistant"), group, before, after)

    assert bool(beyond) == (before != after)
    assert all("owner" in str(one) and "assistant" in str(one) for one in beyond)


@given(before=groups, after=groups)
def test_what_is_refused_says_what_is_held_and_the_operator_may_do_it(
    before: Group, after: Group
) -> None:
    """K6."""
    for one in AUTHORITY.beyond_in_group(staff("owner"), before, after):
        assert "The operator can do it" in str(one)
        assert getattr(before, one.field) != getattr(after, one.field)
    assert AUTHORITY.beyond_in_group(OPERATOR, before, after) == []


@given(before=groups, after=groups)
def test_narrowing_is_always_an_owners(before: Group, after: Group) -> None:
    """An owner may take away: empty lists, lower amounts, a smaller cap."""
    narrower = replace(
        before,
        models=(),
        endpoints=(),
        each=tuple(replace(limit, amount=limit.amount // 2) for limit in before.each),
        shared=tuple(replace(limit, amount=limit.amount // 2) for limit in before.shared),
        max_output_tokens=1,
        unknown_parameters="refuse",
        title=after.title,
    )

    assert AUTHORITY.beyond_in_group(staff("owner"), before, narrower) == []


@pytest.mark.parametrize(
    ("field", "value", "is_owners"),
    [
        ("name", "other", False),
        ("title", "Other", True),
        ("zone", ZoneHistory.of("Europe/Berlin"), True),
        ("patience_s", 0, True),
        ("min_output_tokens", 16, True),
        ("on_disconnect", "cancel", True),
        ("show_shared", True, True),
        ("pseudonyms", True, True),
        ("unknown_parameters", "pass", False),
        ("state", "paused", True),
        ("state", "archived", False),
        ("shared", (parse_limit("10 requests/minute"),), True),
        ("shared", (parse_limit("$1/month on gpt-4o"),), True),
        ("shared", (parse_limit("$1000/month"),), False),
        ("each", (parse_limit("$1/month"),), True),
        ("workspace_id", "wsp_2", False),
    ],
)
def test_which_fields_of_a_group_are_its_owners(field: str, value: Any, is_owners: bool) -> None:
    """K6."""
    after = replace(GROUP, **{field: value})

    assert (AUTHORITY.beyond_in_group(staff("owner"), GROUP, after) == []) is is_owners


def test_below_a_shared_sum_an_owner_deals_it_out_freely() -> None:
    """K6: the sum stands, whatever each gets."""
    group = replace(GROUP, each=(parse_limit("$1/month"),), shared=(parse_limit("$50/month"),))
    unbound = replace(group, shared=(parse_limit("$50/month on gpt-4o"),))
    more = (parse_limit("$9/month"),)
    generous = replace(MEMBER, limits=more)
    owner = staff("owner")

    assert AUTHORITY.beyond_in_group(owner, group, replace(group, each=more)) == []
    assert AUTHORITY.beyond_in_member(owner, group, MEMBER, generous) == []
    assert AUTHORITY.beyond_in_group(owner, unbound, replace(unbound, each=more))
    assert AUTHORITY.beyond_in_member(owner, unbound, MEMBER, generous)


def test_money_is_there_again_only_below_a_shared_sum() -> None:
    """K6: a reset or a grant by an owner is bounded by what the group shares, which only the operator resets."""
    bound = replace(GROUP, shared=(parse_limit("$50/month"),))
    owner = staff("owner")

    assert beyond_in_more_money(owner, bound, what="reset") == []
    assert beyond_in_more_money(owner, GROUP, what="reset")
    assert beyond_in_more_money(OPERATOR, GROUP, what="reset") == []
    assert beyond_in_shared_reset(owner)
    assert beyond_in_shared_reset(OPERATOR) == []


def test_only_a_limit_on_all_money_is_a_shared_sum() -> None:
    for text in ("$5/month on gpt-*", "$5/month on endpoint:chat", "5 requests/minute"):
        assert not has_shared_money(replace(GROUP, shared=(parse_limit(text),)))
    limit = parse_limit("$5 total")
    assert (limit.metric, limit.selector) == (Metric.MONEY, Selector())
    assert has_shared_money(replace(GROUP, shared=(limit,)))


def test_what_may_be_saved_is_an_owners_as_far_as_it_bounds_no_less() -> None:
    """K6: under a shared sum freely, without one only less of it."""
    unbound = replace(GROUP, carry_over=CarryOver(100, 0))
    bound = replace(unbound, shared=(parse_limit("$50/month"),))
    for most, held in ((101, False), (100, True), (99, True), (None, True)):
        carry = None if most is None else CarryOver(most, 0)
        for group, is_held in ((unbound, held), (bound, True)):
            beyond = AUTHORITY.beyond_in_group(
                staff("owner"), group, replace(group, carry_over=carry)
            )
            assert [one.field for one in beyond] == ([] if is_held else ["carry_over"])


def test_a_field_without_a_rule_is_the_operators() -> None:
    """K4: a policy that grows by a field keeps it closed until somebody says whose it is."""
    changed: dict[str, Any] = {
        field.name: object() for field in fields(Group) if field.name not in ("each", "shared")
    }
    changed |= {"models": ("x",), "endpoints": ("y",), "max_output_tokens": 5, "state": "paused"}
    changed |= {"carry_over": CarryOver(5, 0), "logging": Logging(bodies="all", purpose="x")}
    before = replace(GROUP, models=("a",), endpoints=("chat",), max_output_tokens=1)

    beyond = AUTHORITY.beyond_in_group(staff("owner"), before, replace(before, **changed))

    free = {"title", "zone", "patience_s", "min_output_tokens", "on_disconnect"}
    free |= {"show_shared", "self_rotate", "strikes", "rules", "pseudonyms"}
    assert {one.field for one in beyond} == changed.keys() - free - {"state"}
