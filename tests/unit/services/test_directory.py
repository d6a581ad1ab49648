"""The directory in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tuckshop.domain.actor import OPERATOR, Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.records import Group, Member, VirtualKey, Workspace
from tuckshop.domain.windows import ZoneHistory
from tuckshop.services.directory import Directory
from tuckshop.storage.directory import DirectoryRows

ZONE = ZoneHistory.of("UTC")
WORKSPACE = Workspace(id="wsp_default", zone=ZONE)
GROUP = Group(
    id="grp_1",
    workspace_id="wsp_default",
    name="a",
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
    external_id="1",
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
    digest=b"first",
    last4="0000",
    limits=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    tags=(),
    expires_at_us=None,
    state="active",
)


@pytest.fixture
def directory() -> Directory:
    return Directory(
        DirectoryRows(
            version=1, workspace=WORKSPACE, groups=(GROUP,), members=(MEMBER,), keys=(KEY,)
        )
    )


def test_a_key_is_found_with_its_whole_chain_and_the_version(directory: Directory) -> None:
    holder = directory.find(b"first", 0)

    assert holder is not None
    assert (holder.key, holder.member, holder.group, holder.workspace) == (
        KEY,
        MEMBER,
        GROUP,
        WORKSPACE,
    )
    assert holder.directory_version == 1
    assert directory.find(b"other", 0) is None


def test_the_secret_before_a_rotation_opens_until_its_end(directory: Directory) -> None:
    rotated = replace(KEY, digest=b"second", previous_digest=b"first", previous_until_us=100)
    directory.apply(DirectoryRows(version=2, workspace=WORKSPACE, keys=(rotated,)))

    assert directory.find(b"first", 99) == directory.find(b"second", 99) is not None
    assert directory.find(b"first", 100) is None
    assert directory.find(b"second", 100) is not None

    again = replace(rotated, digest=b"third", previous_digest=None, previous_until_us=None)
    directory.apply(DirectoryRows(version=3, workspace=WORKSPACE, keys=(again,)))

    assert directory.find(b"first", 0) is None
    assert directory.find(b"second", 0) is None
    assert directory.find(b"third", 0) is not None


def test_groups_may_exchange_their_names_in_one_change(directory: Directory) -> None:
    other = replace(GROUP, id="grp_2", name="b")
    directory.apply(DirectoryRows(version=2, workspace=WORKSPACE, groups=(other,)))

    directory.apply(
        DirectoryRows(
            version=3,
            workspace=WORKSPACE,
            groups=(replace(GROUP, name="b"), replace(other, name="a")),
        )
    )

    assert (directory.group("a", OPERATOR).id, directory.group("b", OPERATOR).id) == (
        "grp_2",
        "grp_1",
    )


def test_an_id_goes_before_a_name(directory: Directory) -> None:
    """A group may be called like another's id; the id still means the other."""
    directory.apply(
        DirectoryRows(
            version=2, workspace=WORKSPACE, groups=(replace(GROUP, id="grp_2", name="grp_1"),)
        )
    )

    assert directory.group("grp_1", OPERATOR).name == "a"


def test_listeners_hear_only_of_what_stops_being_active(directory: Directory) -> None:
    """K3."""
    heard: list[frozenset[str]] = []
    directory.on_cut(heard.append)

    directory.apply(DirectoryRows(version=2, workspace=WORKSPACE, keys=(replace(KEY, name="x"),)))
    directory.apply(
        DirectoryRows(
            version=3,
            workspace=WORKSPACE,
            members=(replace(MEMBER, state="paused"),),
            keys=(replace(KEY, state="revoked"),),
        )
    )
    directory.apply(
        DirectoryRows(version=4, workspace=WORKSPACE, keys=(replace(KEY, state="archived"),))
    )

    assert heard == [frozenset({"mem_1", "key_1"})]


def test_a_directory_never_goes_back(directory: Directory) -> None:
    with pytest.raises(AssertionError):
        directory.apply(DirectoryRows(version=1, workspace=WORKSPACE))


def test_what_is_not_there_is_told_by_its_name(directory: Directory) -> None:
    for look_up in (directory.group, directory.member, directory.key):
        with pytest.raises(NotFoundError, match="nosuch"):
            look_up("nosuch", OPERATOR)


def test_what_is_of_another_group_is_told_like_what_there_is_not(directory: Directory) -> None:
    """K5."""
    stranger = Actor(kind="token", role="owner", groups=frozenset({"grp_2"}))

    for look_up, name in (
        (directory.group, "grp_1"),
        (directory.group, "a"),
        (directory.member, "mem_1"),
        (directory.key, "key_1"),
    ):
        look_up(name, OPERATOR)
        with pytest.raises(NotFoundError) as foreign:
            look_up(name, stranger)
        with pytest.raises(NotFoundError) as unknown:
            look_up("nosuch", stranger)
        assert str(foreign.value).replace(name, "nosuch") == str(unknown.value)
    assert directory.groups(stranger) == []


def test_foreign_keys_are_looked_for_only_while_one_could_be_found(directory: Directory) -> None:
    """K1."""
    taken = replace(KEY, taken_from="litellm", taken_digest=b"first")
    seen = [directory.holds_foreign_keys]

    for version, key in enumerate(
        (
            taken,
            replace(taken, digest=b"second", previous_digest=b"first"),
            replace(taken, digest=b"second"),
        ),
        2,
    ):
        directory.apply(DirectoryRows(version=version, workspace=WORKSPACE, keys=(key,)))
        seen.append(directory.holds_foreign_keys)

    assert seen == [False, True, True, False]
