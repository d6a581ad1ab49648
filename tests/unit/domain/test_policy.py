from __future__ import annotations

from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.globs import matches
from tuckshop.domain.limits import parse_limit
from tuckshop.domain.policy import Policy, limits_for, policy_of
from tuckshop.domain.records import Group, Holder, Member, VirtualKey, Workspace
from tuckshop.domain.windows import ZoneHistory

Names = tuple[str, ...] | None

_BERLIN = ZoneHistory.of("Europe/Berlin")
_UTC = ZoneHistory.of("UTC")


class Level(TypedDict, total=False):
    """What one level of the chain says; what is left out says nothing."""

    limits: tuple[str, ...]
    models: Names
    endpoints: Names
    max_output_tokens: int | None


class _GroupLevel(Level, total=False):
    each: tuple[str, ...]
    shared: tuple[str, ...]
    show_shared: bool


def merged(
    *,
    workspace: Level | None = None,
    member: Level | None = None,
    key: Level | None = None,
    **group: Unpack[_GroupLevel],
) -> Policy:
    """The policy of a key whose four levels say this."""
    workspace, member, key = workspace or {}, member or {}, key or {}
    return policy_of(
        Holder(
            workspace=Workspace(
                id="wsp_1",
                zone=_UTC,
                limits=tuple(map(parse_limit, workspace.get("limits", ()))),
                models=workspace.get("models"),
                endpoints=workspace.get("endpoints"),
                max_output_tokens=workspace.get("max_output_tokens"),
            ),
            group=Group(
                id="grp_1",
                workspace_id="wsp_1",
                name="swa",
                title="",
                zone=_BERLIN,
                each=tuple(map(parse_limit, group.get("each", ()))),
                shared=tuple(map(parse_limit, group.get("shared", ()))),
                models=group.get("models"),
                endpoints=group.get("endpoints"),
                max_output_tokens=group.get("max_output_tokens"),
                min_output_tokens=1024,
                patience_s=7.5,
                on_disconnect="cancel",
                unknown_parameters="pass",
                show_shared=group.get("show_shared", False),
                state="active",
            ),
            member=Member(
                id="mem_1",
                group_id="grp_1",
                external_id="4711",
                name=None,
                email=None,
                limits=tuple(map(parse_limit, member.get("limits", ()))),
                models=member.get("models"),
                endpoints=member.get("endpoints"),
                max_output_tokens=member.get("max_output_tokens"),
                state="active",
            ),
            key=VirtualKey(
                id="key_1",
                group_id="grp_1",
                member_id="mem_1",
                name=None,
                digest=b"",
                last4="abcd",
                limits=tuple(map(parse_limit, key.get("limits", ()))),
                models=key.get("models"),
                endpoints=key.get("endpoints"),
                max_output_tokens=key.get("max_output_tokens"),
                tags=(),
                expires_at_us=None,
                state="active",
            ),
            directory_version=1,
        )
    )


def in_force(policy: Policy) -> list[tuple[str, str]]:
    return [(str(one.limit), one.scope.kind) for one in policy.limits]


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_list_every_model_is_allowed() -> None:
    policy = merged()

    assert policy.may_model("anything/at-all")
    assert policy.allowed_models() == ("*",)


def test_an_empty_list_allows_nothing() -> None:
    policy = merged(models=("gpt-4o",), key={"models": ()})

    assert not policy.may_model("gpt-4o")
    assert policy.allowed_models() == ()


def test_a_key_narrows_and_never_widens() -> None:
    policy = merged(models=("gpt-4o-mini", "text-*"), key={"models": ("gpt-4o-mini", "gpt-5")})

    assert policy.may_model("gpt-4o-mini")
    assert not policy.may_model("gpt-5")
    assert not policy.may_model("text-embedding-3-small")
    assert policy.allowed_models() == ("gpt-4o-mini",)


@pytest.mark.parametrize(
    "model", ["gpt-4o-mini-2024-07-18", "GPT-4o-mini", " gpt-4o-mini", "openai/gpt-4o-mini", ""]
)
def test_a_listed_name_covers_itself_alone(model: str) -> None:
    """K9: exact ids, and no dated snapshots; those need a `*`."""
    assert not merged(models=("gpt-4o-mini",)).may_model(model)


def test_a_glob_covers_dated_snapshots() -> None:
    assert merged(models=("gpt-4o-mini*",)).may_model("gpt-4o-mini-2024-07-18")


@pytest.mark.parametrize(
    ("group", "key", "allowed"),
    [
        (("gpt-*", "text-*"), ("gpt-4o*",), ("gpt-4o*",)),
        (("gpt-4o*",), ("*",), ("gpt-4o*",)),
        (("gpt-*",), ("*-mini",), ("gpt-* that is also *-mini",)),
        (("gpt-*",), ("text-*",), ()),
        (("b", "a", "b"), None, ("b", "a")),
    ],
)
def test_what_is_allowed_is_told_as_the_lists_have_in_common(
    group: Names, key: Names, allowed: tuple[str, ...]
) -> None:
    assert merged(models=group, key={"models": key}).allowed_models() == allowed


_lists = st.none() | st.lists(st.text("ab*", min_size=1, max_size=4), max_size=3).map(tuple)


@given(lists=st.tuples(_lists, _lists, _lists, _lists), model=st.text("ab", min_size=1, max_size=5))
def test_a_model_is_allowed_where_every_list_covers_it_and_the_text_says_so(
    lists: tuple[Names, Names, Names, Names], model: str
) -> None:
    workspace, group, member, key = lists
    policy = merged(
        workspace={"models": workspace},
        models=group,
        member={"models": member},
        key={"models": key},
    )

    allowed = all(names is None or any(matches(glob, model) for glob in names) for names in lists)
    told = any(
        all(matches(glob, model) for glob in text.split(" that is also "))
        for text in policy.allowed_models()
    )
    assert policy.may_model(model) is allowed
    assert told is allowed


@given(
    group=_lists,
    endpoints=_lists,
    cap=st.none() | st.integers(1, 3),
    key=st.fixed_dictionaries(
        {
            "models": _lists,
            "endpoints": _lists,
            "max_output_tokens": st.none() | st.integers(1, 3),
            "limits": st.lists(st.sampled_from(["$9/month", "$1/day"]), max_size=2).map(tuple),
        }
    ),
    name=st.text("ab", min_size=1, max_size=5),
)
def test_no_key_may_what_its_member_may_not(
    group: Names, endpoints: Names, cap: int | None, key: Level, name: str
) -> None:
    """K6."""
    own = {"each": ("$1/month",), "models": group, "endpoints": endpoints, "max_output_tokens": cap}
    without, policy = merged(**own), merged(**own, key=key)  # type: ignore[arg-type]  # a dict as keywords

    assert without.may_model(name) or not policy.may_model(name)
    for default_open in (True, False):
        assert without.may_endpoint(name, default_open=default_open) or not policy.may_endpoint(
            name, default_open=default_open
        )
    assert set(without.limits) <= set(policy.limits)
    if cap is not None:
        assert policy.max_output_tokens is not None
        assert policy.max_output_tokens <= cap


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_list_those_are_open_that_are_open_by_default() -> None:
    policy = merged()

    assert policy.may_endpoint("chat", default_open=True)
    assert not policy.may_endpoint("batches", default_open=False)


def test_endpoint_lists_intersect() -> None:
    policy = merged(
        endpoints=("chat", "emb*"), member={"endpoints": ("*",)}, key={"endpoints": ("chat",)}
    )

    assert policy.may_endpoint("chat", default_open=True)
    assert not policy.may_endpoint("embeddings", default_open=True)
    assert policy.allowed_endpoints() == ("chat",)
    assert not merged(endpoints=()).may_endpoint("chat", default_open=True)


@pytest.mark.parametrize(
    ("workspace", "group", "member", "key", "opened"),
    [
        (None, ("batches",), None, None, True),
        (("batches",), None, None, None, True),
        (None, None, ("batches",), None, True),
        (("batches", "chat"), ("batches",), None, ("batches",), True),
        (None, ("*",), None, None, False),
        (None, ("batch*",), None, None, False),
        (("*",), ("batches",), None, None, False),
        (None, ("batches",), None, ("chat",), False),
        (None, ("batches",), None, ("*",), False),
        (None, ("batches",), (), None, False),
        (None, None, None, ("batches",), False),
    ],
)
def test_what_is_off_by_default_is_opened_by_its_full_name_and_not_by_a_key(
    workspace: Names, group: Names, member: Names, key: Names, opened: bool
) -> None:
    policy = merged(
        workspace={"endpoints": workspace},
        endpoints=group,
        member={"endpoints": member},
        key={"endpoints": key},
    )

    assert policy.may_endpoint("batches", default_open=False) is opened


# ── caps and limits ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_least_output_cap_holds() -> None:
    policy = merged(
        workspace={"max_output_tokens": 4000},
        max_output_tokens=2000,
        member={"max_output_tokens": 3000},
    )

    assert policy.max_output_tokens == 2000
    assert merged().max_output_tokens is None
    assert merged(key={"max_output_tokens": 16}).max_output_tokens == 16


def test_all_limits_hold_at_once_each_in_its_scope_and_zone() -> None:
    policy = merged(
        workspace={"limits": ("$900/month",)},
        each=("$0.20/month", "35 rpm"),
        shared=("$50/month",),
        member={"limits": ("$1 total",)},
        key={"limits": ("$0.05/day",)},
    )

    assert in_force(policy) == [
        ("$0.05/day", "key"),
        ("$1 total", "member"),
        ("$0.20/month", "member"),
        ("35 requests/minute", "member"),
        ("$50/month", "group"),
        ("$900/month", "workspace"),
    ]
    assert [one.scope.id for one in policy.limits] == ["key_1", *["mem_1"] * 3, "grp_1", "wsp_1"]
    assert [one.zone for one in policy.limits] == [_BERLIN] * 5 + [_UTC]


@pytest.mark.parametrize(
    ("own", "each_holds"),
    [
        ("$2/month", False),
        ("$0.01/month", False),
        ("$2/year", True),
        ("$2 total", True),
        ("200 requests/month", True),
        ("$2/month on gpt-4o", True),
    ],
)
def test_a_members_own_limit_replaces_only_its_kind_of_each(own: str, each_holds: bool) -> None:
    limits = in_force(merged(each=("$0.20/month",), member={"limits": (own,)}))

    assert limits[0] == (own, "member")
    assert (("$0.20/month", "member") in limits) is each_holds


def test_a_kind_is_the_same_however_it_is_written() -> None:
    each = ("5 requests/60 seconds on a, b", "9 rpm on b, a")

    policy = merged(each=each, member={"limits": ("99 rpm on b, a, b",)})

    assert in_force(policy) == [("99 requests/minute on b, a, b", "member")]


def test_a_members_own_limit_replaces_nothing_but_each() -> None:
    month = ("$2/month",)

    policy = merged(
        workspace={"limits": month}, shared=month, member={"limits": month}, key={"limits": month}
    )

    assert [kind for _, kind in in_force(policy)] == ["key", "member", "group", "workspace"]


@pytest.mark.parametrize("show_shared", [False, True])
def test_a_holder_sees_amounts_of_their_own_limits(show_shared: bool) -> None:
    policy = merged(
        workspace={"limits": ("$900/month",)},
        each=("$0.20/month",),
        shared=("$50/month",),
        key={"limits": ("$0.05/day",)},
        show_shared=show_shared,
    )

    visible = {one.scope.kind: one.amounts_visible for one in policy.limits}
    assert visible == {"key": True, "member": True, "group": show_shared, "workspace": False}


def test_a_call_takes_from_the_limits_that_cover_it() -> None:
    policy = merged(
        each=("$1/month", "35 rpm on gpt-3.5-turbo", "50 rpm on text-*", "9 rpm on endpoint:chat")
    )

    taken = limits_for(policy, "gpt-3.5-turbo-1106", ("gpt-3.5-turbo",), "chat")

    assert [str(one.limit) for one in taken] == [
        "$1/month",
        "35 requests/minute on gpt-3.5-turbo",
        "9 requests/minute on endpoint:chat",
    ]


def test_the_groups_own_fields_are_passed_on() -> None:
    policy = merged(show_shared=True)

    assert policy.min_output_tokens == 1024
    assert policy.patience_s == 7.5
    assert policy.on_disconnect == "cancel"
    assert policy.unknown_parameters == "pass"
    assert policy.show_shared
    assert hash(policy) == hash(merged(show_shared=True))
