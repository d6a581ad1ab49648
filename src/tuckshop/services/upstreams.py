"""
Upstreams: add, read, change, try, remove. Their credentials go in and never come out again (K2).

A change holds from the next call on: it sends back every call that was identified before it, so that nothing is
admitted for an upstream that is no longer so. What runs goes on with what it began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import UNSET
from sqlalchemy import delete, insert, select

from tuckshop.domain.actor import Actor
from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import ConflictError, InvalidFieldError, NotFoundError
from tuckshop.domain.ids import new_id
from tuckshop.domain.records import Reach, UpstreamRecord
from tuckshop.services import fields
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import Columns, InvalidValueError
from tuckshop.services.once import Once, once, same
from tuckshop.services.paging import PAGE_DEFAULT, cursor_after, mark_of
from tuckshop.services.shapes.upstreams import (
    NewUpstream,
    UpstreamChange,
    UpstreamPage,
    UpstreamShape,
    UpstreamTest,
)
from tuckshop.services.versions import Expected
from tuckshop.storage.rows import upstream_of
from tuckshop.storage.schema import upstreams
from tuckshop.storage.sealing import Sealer, credential_place
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.base_url import BaseUrl, parse_base_url
from tuckshop.upstreams.probe import Probe, probe
from tuckshop.upstreams.registry import Upstream, UpstreamRegistry

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
CREDENTIAL_MAX_CHARS: Final = 4_096
HINT_MIN_CHARS: Final = 16  # of a shorter credential four characters would tell too much
NO_CREDENTIAL: Final[Mapping[str, object]] = {
    "credential_source": None,
    "sealed": None,
    "last4": None,
}

IsOwn = Callable[[BaseUrl], bool]


class Upstreams:
    """What staff do with upstreams."""

    def __init__(
        self,
        changes: Changes,
        directory: Directory,
        *,
        registry: UpstreamRegistry,
        sealer: Sealer,
        is_own: IsOwn,
        clock: Clock,
    ) -> None:
        """*is_own*: whether an address is that of this very server."""
        self._changes = changes
        self._directory = directory
        self._registry = registry
        self._sealer = sealer
        self._is_own = is_own
        self._clock = clock

    async def add(
        self, actor: Actor, new: NewUpstream, *, claim: Once | None = None
    ) -> UpstreamShape:
        """
        Add an upstream.

        Raises:
            InvalidFieldsError: Fields that cannot be taken.
            ConflictError: The name is taken.
        """
        columns = self._columns(actor, new)
        upstream_id = new_id("upr", self._clock.now_us())
        workspace_id = self._directory.workspace.id
        row: dict[str, object] = {
            "workspace_id": workspace_id,
            "id": upstream_id,
            "family": "openai",
            "profile": "openai",
            "base_url": DEFAULT_BASE_URL,
            "models": None,
            "reach": reach_of(actor),
            **NO_CREDENTIAL,
            **columns,
            **await self._sealed(new, workspace_id, upstream_id),
        }

        def make(edit: Edit) -> str:
            _check_name(edit, new.name, own_id=None)
            row["created_at"] = edit.now_us
            edit.connection.execute(insert(upstreams).values(row))
            edit.audit("upstream.add", upstream_id, None, audited(row))
            _touch(edit, upstream_id)
            return upstream_id

        def work(edit: Edit) -> str:
            return once(edit, claim, lambda: make(edit), told=same, again=str)

        return await self.get(await self._changes.make(actor, work))

    async def get(self, name_or_id: str) -> UpstreamShape:
        """
        An upstream.

        Raises:
            NotFoundError: No such upstream.
        """
        return self._shape(self._directory.upstream(name_or_id))

    async def page(self, *, cursor: str | None = None, limit: int = PAGE_DEFAULT) -> UpstreamPage:
        """
        Upstreams, in the order in which a model's name is looked for.

        Raises:
            InvalidFieldError: The cursor.
        """
        found = list(self._directory.upstreams())
        after = mark_of(cursor)
        if after is not None:
            ids = [record.id for record in found]
            if after not in ids:
                raise InvalidFieldError("cursor", "is not a cursor of this list")
            found = found[ids.index(after) + 1 :]
        return UpstreamPage(
            data=[self._shape(record) for record in found[:limit]],
            next_cursor=cursor_after(found[limit - 1].id) if len(found) > limit else None,
        )

    async def change(
        self,
        actor: Actor,
        name_or_id: str,
        change: UpstreamChange,
        *,
        expected: Expected | None = None,
    ) -> UpstreamShape:
        """
        Change an upstream. Another scheme, host or port drops its credential, unless one comes with it (K20).

        Raises:
            NotFoundError: No such upstream.
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            ConflictError: The new name is taken, or the settings give the name.
            StaleVersionError: It is another version than *expected*.
        """
        record = self._directory.upstream(name_or_id)
        columns = self._columns(actor, change)
        if "base_url" in columns:
            columns["reach"] = reach_of(actor)
        columns |= await self._sealed(change, record.workspace_id, record.id)

        def work(edit: Edit) -> None:
            before = _row(edit, record.id)
            _check_version(edit, before, expected)
            after = dict(columns)
            if after.get("name", before["name"]) != before["name"]:
                if before["credential_source"] == "setting":
                    raise ConflictError("This upstream has its name from the settings.")
                _check_name(edit, str(after["name"]), own_id=record.id)
            if "credential_source" not in after and _moves(before, after):
                after |= NO_CREDENTIAL
            if edit.alter(upstreams, "upstream.change", before, after, audited=audited):
                edit.touch(edit.workspace_id)

        await self._changes.make(actor, work)
        return await self.get(record.id)

    async def remove(
        self, actor: Actor, name_or_id: str, *, expected: Expected | None = None
    ) -> UpstreamShape:
        """
        Remove an upstream with its credential. Calls that run on it end; rows of the log keep its name.

        Raises:
            NotFoundError: No such upstream.
            StaleVersionError: It is another version than *expected*.
        """
        record = self._directory.upstream(name_or_id)
        shape = self._shape(record)

        def work(edit: Edit) -> None:
            before = _row(edit, record.id)
            _check_version(edit, before, expected)
            edit.connection.execute(delete(upstreams).where(*_is(edit.workspace_id, record.id)))
            edit.audit("upstream.remove", record.id, audited(before), None)
            _touch(edit, record.id)

        await self._changes.make(actor, work)
        return shape

    async def test(self, name_or_id: str) -> UpstreamTest:
        """
        Ask an upstream for its models, with its credential; costs nothing.

        Raises:
            NotFoundError: No such upstream.
        """
        record = self._directory.upstream(name_or_id)
        live = self._registry.get(record.name)
        assert live is not None, "the registry follows the directory"
        found = await probe(live)
        if found.result == "ok":
            live.circuit.answered()
        return UpstreamTest(
            upstream=record.name,
            result=found.result,
            status=found.status,
            models=found.models,
            message=told(found, record),
        )

    def _columns(self, actor: Actor, change: UpstreamChange) -> dict[str, object]:
        columns = Columns()
        columns.set("name", change.name, fields.upstream_name)
        columns.set("profile", change.profile, fields.same, unset="openai")
        columns.set("base_url", change.base_url, lambda text: self._base_url(text, reach_of(actor)))
        columns.set("models", change.models, fields.models)
        if change.family not in (UNSET, "openai"):
            columns.refuse("family", 'is not available yet: leave it out, or send "openai"')
        if change.limits not in (UNSET, None, []):
            columns.refuse("limits", "is not available yet: leave it out, or send []")
        if isinstance(change.credential, str):
            try:
                credential(change.credential)
            except InvalidValueError as error:
                columns.refuse("credential", str(error))
        return columns.check()

    def _base_url(self, text: str, reach: Reach) -> str:
        try:
            base = parse_base_url(text)
        except ValueError as error:
            raise InvalidValueError(f"cannot be used: {error}") from None
        if self._is_own(base):
            raise InvalidValueError(
                "points at tuckshop's own listener, which would call itself for ever"
            )
        if reach == "public" and not base.is_tls:
            raise InvalidValueError("must begin with https://")
        # Of a name more is known only when it is dialled; then it is asked again, at every connect.
        reason = AddressGuard(reach, tuple).refusal(base.host, base.port)
        if reason is not None:
            raise InvalidValueError(f"cannot be used: {reason}")
        return text.strip()

    async def _sealed(
        self, change: UpstreamChange, workspace_id: str, upstream_id: str
    ) -> Mapping[str, object]:
        """The columns of the credential that was sent."""
        sent = change.credential
        if sent is None:
            return NO_CREDENTIAL
        if not isinstance(sent, str):
            return {}
        place = credential_place(workspace_id, upstream_id)
        # In a thread: the first call loads the library.
        sealed = await asyncio.to_thread(self._sealer.seal, sent.strip(), place=place)
        return {"credential_source": "sealed", "sealed": sealed, "last4": hint_of(sent.strip())}

    def _shape(self, record: UpstreamRecord) -> UpstreamShape:
        return _shape(record, self._registry.get(record.name))


def _shape(record: UpstreamRecord, live: Upstream | None) -> UpstreamShape:
    return UpstreamShape(
        id=record.id,
        name=record.name,
        family=record.family,
        profile=record.profile,
        base_url=record.base_url,
        models=None if record.models is None else list(record.models),
        credential_source=record.credential_source,
        last4=record.last4,
        state=_state_of(live),
    )


def _check_version(edit: Edit, row: Mapping[str, Any], expected: Expected | None) -> None:
    if expected is not None:
        expected.check(edit, _shape(upstream_of(row), None), row["id"])


def credential(text: str) -> str:
    """A credential as a header can carry it. What it raises never quotes it."""
    text = text.strip()
    if not text or len(text) > CREDENTIAL_MAX_CHARS:
        raise InvalidValueError(f"expected 1 to {CREDENTIAL_MAX_CHARS} characters")
    if not all("!" <= c <= "~" for c in text):
        raise InvalidValueError("has characters that no credential has (a blank or a line break?)")
    if text.startswith("sk-tuck-"):
        raise InvalidValueError(
            "is a virtual key of tuckshop; the provider's own credential is needed"
        )
    if text.startswith(("env:", "file:")):
        raise InvalidValueError(
            "names a variable or a file, which only the settings may: OPENAI_API_KEY, OPENAI_API_KEY_FILE"
        )
    return text


def hint_of(secret: str) -> str | None:
    """All that may be shown of a credential: its last four characters, where there are enough others."""
    return secret[-4:] if len(secret) >= HINT_MIN_CHARS else None


def reach_of(actor: Actor) -> Reach:
    """Which addresses somebody may send credentials to: an operator any, others public ones only (K20)."""
    return "any" if actor.kind in ("operator", "system") else "public"


def audited(columns: Mapping[str, object]) -> dict[str, object]:
    """What an audit row may show: of the sealed credential that there is one."""
    shown = {n: v for n, v in columns.items() if n not in ("workspace_id", "created_at", "sealed")}
    if "sealed" in columns:
        shown["sealed"] = columns["sealed"] is not None
    return shown


def told(found: Probe, record: UpstreamRecord) -> str:
    """What came of a try, as a sentence that says what to do."""
    base = parse_base_url(record.base_url)
    where, status = base.authority, found.status
    match found.result:
        case "ok":
            return f"{where} answers, knows the credential and lists {found.models:,} models."
        case "no_credential":
            return f"It has no credential: tuckshop upstream edit {record.name} --credential"
        case "credential_refused":
            return f"{where} refuses the credential ({status}): give a valid one."
        case "out_of_money_or_rate":
            return f"{where} answers 429: the account is out of money, or called too often."
        case "wrong_path":
            return (
                f"{where} answers {status} to GET {base.prefix}/models, and not with a list of models:"
                " does the base URL end as the provider says, often in /v1?"
            )
        case "upstream_error":
            return f"{where} answers {status} to GET {base.prefix}/models: try again later."
        case "dns":
            return f"{base.host} has no address: is the name right?"
        case "tls":
            return (
                f"{where} has no certificate that this machine trusts, or speaks no TLS: look at the scheme,"
                " or set TUCKSHOP_CA_FILE."
            )
        case "refused":
            return f"{where} takes no connection: is the port right, and does it run?"
        case "forbidden":
            return f"{where} leads to an address that must not be dialled."
        case "timeout":
            return f"{where} does not answer in time: is a firewall in between?"
        case "broken":
            return f"{where} breaks off, or does not answer as HTTP: look at scheme and port."


def _state_of(live: Upstream | None) -> Literal["ready", "no_credential", "refused"]:
    if live is None or live.credential is None:
        return "no_credential"
    return "refused" if live.circuit.is_open else "ready"


def _moves(before: Mapping[str, Any], after: Mapping[str, object]) -> bool:
    if "base_url" not in after:
        return False
    old, new = parse_base_url(before["base_url"]), parse_base_url(str(after["base_url"]))
    return (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port)


def _touch(edit: Edit, upstream_id: str) -> None:
    edit.touch(upstream_id)
    edit.touch(edit.workspace_id)  # calls of everybody: nobody is to be admitted by what was before


def _is(workspace_id: str, upstream_id: str) -> tuple[Any, Any]:
    return upstreams.c.workspace_id == workspace_id, upstreams.c.id == upstream_id


def _row(edit: Edit, upstream_id: str) -> Mapping[str, Any]:
    query = select(upstreams).where(*_is(edit.workspace_id, upstream_id))
    row = edit.connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError("The upstream was removed meanwhile.")
    return dict(row)


def _check_name(edit: Edit, name: str, *, own_id: str | None) -> None:
    query = select(upstreams.c.id).where(
        upstreams.c.workspace_id == edit.workspace_id, upstreams.c.name == name
    )
    found = edit.connection.execute(query).scalar()
    if found is not None and found != own_id:
        raise ConflictError(f"The name {name!r} is taken by another upstream.")
