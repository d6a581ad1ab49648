"""Who is one person: the members with the same external id, in all groups that somebody sees (P11)."""

from __future__ import annotations

from tuckshop.domain.actor import Actor
from tuckshop.domain.external_id import folded
from tuckshop.domain.records import Member
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.rows import NAMELESS


def same_person(directory: Directory, actor: Actor, member: Member) -> list[Member]:
    """The members that a person is, in the groups that the actor sees; *member* first."""
    if member.external_id == NAMELESS:
        return [member]
    name = folded(member.external_id)
    others = [
        one
        for one in directory.members(actor)
        if one.id != member.id and folded(one.external_id) == name
    ]
    return [member, *others]
