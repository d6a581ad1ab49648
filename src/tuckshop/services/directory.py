"""
The directory: workspace, upstreams, groups, members, keys and tokens in memory, so that *identify* asks no database.

It is a copy of what was last committed. Every admin change hands in the rows it touched on the event loop, before the
service call returns; a reservation carries the version it was identified with, and the ledger refuses one that is
older than the database's (D6). So a stale copy costs a second look and never lets anything through.

Whatever a caller names is looked up here, and for whom: what is not of the caller's groups is not found, in the same
words as what there is not (K5).

Members of a group that hides who they are leave here under their pseudonyms, whoever asks, so that no list, table or
error can name them by oversight. Who they are is told by `person` alone, and a test keeps the list of its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import NotFoundError
from tuckshop.domain.pseudonyms import Person, pseudonym_of, under_pseudonym
from tuckshop.domain.records import (
    Group,
    Holder,
    Member,
    StaffToken,
    UpstreamRecord,
    VirtualKey,
    Workspace,
)
from tuckshop.storage.directory import DirectoryRows

# Told which keys, members and groups (by id; the prefix says which) stopped being active just now.
CutListener = Callable[[frozenset[str]], None]
# Told all upstreams there are, in their order, before anybody is identified by the change that made them so.
UpstreamListener = Callable[[tuple[UpstreamRecord, ...]], None]


class Directory:
    """Who holds which key, now. Used on the event loop alone."""

    def __init__(self, rows: DirectoryRows) -> None:
        self._version = 0
        self._workspace = rows.workspace
        self._groups: dict[str, Group] = {}
        self._groups_by_name: dict[str, str] = {}
        self._members: dict[str, Member] = {}
        self._keys: dict[str, VirtualKey] = {}
        self._keys_by_digest: dict[bytes, str] = {}
        self._foreign: set[str] = set()  # the keys that a secret of another format opens
        self._holders: dict[str, Holder] = {}  # built on first use, thrown away by every change
        self._hidden: dict[str, Member] = {}  # members under their pseudonyms, likewise
        self._tokens: dict[str, StaffToken] = {}
        self._tokens_by_digest: dict[bytes, str] = {}
        self._listeners: list[CutListener] = []
        self._upstreams: tuple[UpstreamRecord, ...] = ()
        self._upstream_listeners: list[UpstreamListener] = []
        self.apply(rows)

    # ── look-ups ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def version(self) -> int:
        """The version of what is here."""
        return self._version

    @property
    def workspace(self) -> Workspace:
        """The one workspace."""
        return self._workspace

    @property
    def holds_foreign_keys(self) -> bool:
        """Is there any key that a secret of another format opens? If not, none such is worth a look-up (K1)."""
        return bool(self._foreign)

    def holder_of(self, digest: bytes) -> Holder | None:
        """The chain of the key whose secret, now or before its last rotation, has *digest*."""
        key_id = self._keys_by_digest.get(digest)
        return None if key_id is None else self.holder(key_id)

    def find(self, digest: bytes, now_us: int) -> Holder | None:
        """The chain of the key whose secret has *digest*; the secret before a rotation opens until its end."""
        key_id = self._keys_by_digest.get(digest)
        if key_id is None:
            return None
        key = self._keys[key_id]
        if digest != key.digest and (
            key.previous_until_us is None or key.previous_until_us <= now_us
        ):
            return None
        return self.holder(key_id)

    def holder(self, key_id: str) -> Holder:
        """The chain of a key that is here."""
        holder = self._holders.get(key_id)
        if holder is None:
            key = self._keys[key_id]
            holder = self._holders[key_id] = Holder(
                key=key,
                member=self._shown(self._members[key.member_id]),
                group=self._groups[key.group_id],
                workspace=self._workspace,
                directory_version=self._version,
            )
        return holder

    def group(self, name_or_id: str, actor: Actor) -> Group:
        """
        The group with this id, or else with this name.

        Raises:
            NotFoundError: No such group that the actor sees.
        """
        group = self._groups.get(name_or_id)
        if group is None:
            group = self._groups.get(self._groups_by_name.get(name_or_id, ""))
        if group is None or not actor.sees(group.id):
            raise NotFoundError(f"There is no group {name_or_id!r}.")
        return group

    def group_of(self, one: Member | VirtualKey) -> Group:
        """The group that a member or key is in."""
        return self._groups[one.group_id]

    def member(self, member_id: str, actor: Actor) -> Member:
        """
        The member with this id.

        Raises:
            NotFoundError: No such member that the actor sees.
        """
        member = self._members.get(member_id)
        if member is None or not actor.sees(member.group_id):
            raise NotFoundError(f"There is no member {member_id!r}.")
        return self._shown(member)

    def hides_names(self, group_id: str) -> bool:
        """Whether staff see the members of this group under pseudonyms."""
        return self._workspace.pseudonyms or self._groups[group_id].pseudonyms

    def person(self, member_id: str) -> Person:
        """Who a member that is here is, whatever their group hides. Only for what never tells it to staff unasked."""
        member = self._members[member_id]
        return Person(external_id=member.external_id, name=member.name, email=member.email)

    def greeted(self, member_id: str) -> str | None:
        """What a page calls a member that is here, where staff may hold the link to it too: name or pseudonym."""
        member = self._members[member_id]
        return pseudonym_of(member_id) if self.hides_names(member.group_id) else member.name

    def key(self, key_id: str, actor: Actor) -> VirtualKey:
        """
        The key with this id.

        Raises:
            NotFoundError: No such key that the actor sees.
        """
        key = self._keys.get(key_id)
        if key is None or not actor.sees(key.group_id):
            raise NotFoundError(f"There is no key {key_id!r}.")
        return key

    def find_token(self, digest: bytes) -> StaffToken | None:
        """The token whose secret has *digest*, in whatever state."""
        token_id = self._tokens_by_digest.get(digest)
        return None if token_id is None else self._tokens[token_id]

    def token(self, token_id: str, actor: Actor) -> StaffToken:
        """
        The token with this id.

        Raises:
            NotFoundError: No such token that reaches only what the actor sees.
        """
        token = self._tokens.get(token_id)
        if token is None or not all(map(actor.sees, token.group_ids)):
            raise NotFoundError(f"There is no token {token_id!r}.")
        return token

    def tokens(self, actor: Actor) -> list[StaffToken]:
        """All tokens that reach only what the actor sees, oldest first."""
        return [
            token
            for _, token in sorted(self._tokens.items())
            if all(map(actor.sees, token.group_ids))
        ]

    def upstreams(self) -> tuple[UpstreamRecord, ...]:
        """All upstreams, in the order in which a model's name is looked for."""
        return self._upstreams

    def upstream(self, name_or_id: str) -> UpstreamRecord:
        """
        The upstream with this name or id.

        Raises:
            NotFoundError: No such upstream.
        """
        for upstream in self._upstreams:
            if name_or_id in (upstream.name, upstream.id):
                return upstream
        raise NotFoundError(f"There is no upstream {name_or_id!r}.")

    def groups(self, actor: Actor) -> list[Group]:
        """All groups that the actor sees, oldest first."""
        seen = (group for group in self._groups.values() if actor.sees(group.id))
        return sorted(seen, key=lambda group: group.id)

    def member_ids(self, group_id: str) -> list[str]:
        """The ids of a group's members, archived ones too."""
        return sorted(m.id for m in self._members.values() if m.group_id == group_id)

    def members_by_group(self, group_ids: Collection[str]) -> dict[str, list[Member]]:
        """The members of each of these groups, archived ones too, in no order. One walk over all members."""
        found: dict[str, list[Member]] = {group_id: [] for group_id in group_ids}
        for member in self._members.values():
            if member.group_id in found:
                found[member.group_id].append(self._shown(member))
        return found

    def members(self, actor: Actor) -> list[Member]:
        """All members that the actor sees, oldest first."""
        seen = (
            self._shown(member) for member in self._members.values() if actor.sees(member.group_id)
        )
        return sorted(seen, key=lambda member: member.id)

    def keys(self, actor: Actor) -> list[VirtualKey]:
        """All keys that the actor sees, oldest first."""
        seen = (key for key in self._keys.values() if actor.sees(key.group_id))
        return sorted(seen, key=lambda key: key.id)

    def known_members(self, ids: Iterable[str]) -> list[Member]:
        """Those of *ids* that are here, in the order given."""
        found = (member for id_ in ids if (member := self._members.get(id_)) is not None)
        return [self._shown(member) for member in found]

    def known_keys(self, ids: Iterable[str]) -> list[VirtualKey]:
        """Those of *ids* that are here, in the order given."""
        return [key for id_ in ids if (key := self._keys.get(id_)) is not None]

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────────

    def on_cut(self, listener: CutListener) -> None:
        """Tell *listener* whatever is paused, revoked or archived from now on, so that its streams can be cut (K3)."""
        self._listeners.append(listener)

    def on_upstreams(self, listener: UpstreamListener) -> None:
        """Tell *listener* the upstreams that there are, now and after every change of one."""
        self._upstream_listeners.append(listener)
        listener(self._upstreams)

    def apply(self, rows: DirectoryRows) -> None:
        """Take in committed rows. Changes come in the order of their commits."""
        assert rows.version > self._version, "a directory never goes back"
        cut = frozenset(self._no_longer_active(rows))
        self._version = rows.version
        self._workspace = rows.workspace
        for group in rows.groups:
            before = self._groups.get(group.id)
            if before is not None:
                del self._groups_by_name[before.name]
        for group in rows.groups:
            self._groups[group.id] = group
            self._groups_by_name[group.name] = group.id
        for member in rows.members:
            self._members[member.id] = member
        for key in rows.keys:
            self._replace_key(key)
        for token in rows.tokens:
            known = self._tokens.get(token.id)
            if known is not None:
                del self._tokens_by_digest[known.digest]
            self._tokens[token.id] = token
            self._tokens_by_digest[token.digest] = token.id
        self._holders.clear()
        self._hidden.clear()
        if rows.upstreams is not None:
            self._upstreams = rows.upstreams
            for tell in self._upstream_listeners:
                tell(rows.upstreams)
        if cut:
            for listener in self._listeners:
                listener(cut)

    def _shown(self, member: Member) -> Member:
        if not self.hides_names(member.group_id):
            return member
        found = self._hidden.get(member.id)
        if found is None:
            found = self._hidden[member.id] = under_pseudonym(member)
        return found

    def _replace_key(self, key: VirtualKey) -> None:
        before = self._keys.get(key.id)
        if before is not None:
            for digest in _digests(before):
                self._keys_by_digest.pop(digest, None)
        self._keys[key.id] = key
        for digest in _digests(key):
            self._keys_by_digest[digest] = key.id
        if key.has_foreign_secret:
            self._foreign.add(key.id)
        else:
            self._foreign.discard(key.id)

    def _no_longer_active(self, rows: DirectoryRows) -> Iterator[str]:
        changed: tuple[Group | Member | VirtualKey, ...] = (
            *rows.groups,
            *rows.members,
            *rows.keys,
        )
        for row in changed:
            before: Group | Member | VirtualKey | None = (
                self._groups.get(row.id) or self._members.get(row.id) or self._keys.get(row.id)
            )
            if before is not None and before.state == "active" and row.state != "active":
                yield row.id


def _digests(key: VirtualKey) -> list[bytes]:
    return [key.digest] if key.previous_digest is None else [key.digest, key.previous_digest]
