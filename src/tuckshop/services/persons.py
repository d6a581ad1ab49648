"""Who is one person: the members with the same external id, in all groups that somebody sees (P11)."""

from __future__ import annotations

from tuckshop.domain.actor import Actor
from tuckshop.domain.external_id import folded
from tuckshop.domain.records import Member
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.rows import NAMELESS


def members_called(directory: Directory, actor: Actor, external_id: str) -> list[Member]:
    """The members with this external id in the groups that the actor sees, oldest first; of who is erased, none."""
    if external_id == NAMELESS:
        return []
    name = folded(external_id)
    return [
        one
        for one in directory.members(actor)
        if folded(directory.person(one.id).external_id) == name
    ]


def same_person(directory: Directory, actor: Actor, member: Member) -> list[Member]:
    """
    The members that a person is, in the groups that the actor sees; *member* first.

    Groups that hide who their members are count too: whoever tells the list to staff asks `shown_as_one` in its place.
    """
    called = members_called(directory, actor, directory.person(member.id).external_id)
    return [member, *(one for one in called if one.id != member.id)]


def shown_as_one(directory: Directory, actor: Actor, member: Member) -> list[Member]:
    """Of `same_person` those whom staff know for one anyway: under a pseudonym a member is one alone."""
    if directory.hides_names(member.group_id):
        return [member]
    found = same_person(directory, actor, member)
    return [one for one in found if not directory.hides_names(one.group_id)]
