"""Refusals: worded for the client, counted, and noted in the log where the key is known (section 4, K15)."""

from __future__ import annotations

from typing import Final

import msgspec

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import InvalidApiKeyError, RefusalError
from tuckshop.domain.ids import new_id
from tuckshop.domain.keys import digest_of
from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import RefusedRow
from tuckshop.domain.watch import Watch
from tuckshop.edge.exchange import Exchange
from tuckshop.edge.head import Headers, RequestHead
from tuckshop.gateway.callers import Callers
from tuckshop.gateway.credential import secret_of
from tuckshop.gateway.identify import Arrival
from tuckshop.gateway.ports import BodyLog, Directory, Ledger
from tuckshop.protocols.openai import errors as wording
from tuckshop.protocols.openai.usage import UNREADABLE

_SHOWN_CHARS: Final = 128  # a longer one is no name of a model
_LOOKED_AT_BYTES: Final = 64 << 10  # of a body that was refused before it was read whole


class _Asked(msgspec.Struct):
    model: str = ""


_ASKED: Final = msgspec.json.Decoder(_Asked)


class Refusals:
    """Tells those who may not pass why, and leaves a row of it."""

    def __init__(
        self,
        *,
        directory: Directory,
        ledger: Ledger,
        clock: Clock,
        watch: Watch,
        callers: Callers,
        body_log: BodyLog,
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._clock = clock
        self._watch = watch
        self._callers = callers
        self._body_log = body_log

    def at_the_edge(
        self, error: RefusalError, head: RequestHead | None
    ) -> tuple[int, Headers, bytes]:
        """Word a refusal of a request that was not let in; a known key gets its row."""
        self._watch.refused(error.code)
        now_us = self._clock.now_us()
        request_id = new_id("req", now_us)
        holder = self._known_holder(head, now_us) if head is not None else None
        if holder is not None and head is not None:
            network = self._callers.network_of(head.peer)
            self._note(error, request_id=request_id, holder=holder, network=network)
        return wording.refusal(error, now_us=now_us, request_id=request_id)

    def of_call(self, arrival: Arrival, exchange: Exchange, refusal: RefusalError) -> None:
        """Answer a call that was let in."""
        self._watch.refused(refusal.code)
        self._note(
            refusal,
            request_id=arrival.request_id,
            holder=arrival.holder,
            endpoint=arrival.endpoint.name,
            model=_shown(arrival.model or _asked_in(exchange.body)),
            tag=arrival.tag,
            network=arrival.network,
        )
        if arrival.holder.group.logging.bodies != "off":
            self._body_log.refused(
                arrival.request_id, arrival.holder, arrival.endpoint, exchange.body
            )
        exchange.reply(
            *wording.refusal(refusal, now_us=self._clock.now_us(), request_id=arrival.request_id)
        )

    def _known_holder(self, head: RequestHead, now_us: int) -> Holder | None:
        try:
            secret = secret_of(head.headers, foreign=self._directory.holds_foreign_keys)
            return self._directory.find(digest_of(secret), now_us)
        except InvalidApiKeyError:
            return None

    def _note(
        self,
        refusal: RefusalError,
        *,
        request_id: str,
        holder: Holder,
        endpoint: str = "",
        model: str = "",
        tag: str | None = None,
        network: bytes | None,
    ) -> None:
        self._ledger.refuse(
            RefusedRow(
                request_id=request_id,
                workspace_id=holder.workspace.id,
                group_id=holder.group.id,
                member_id=holder.member.id,
                key_id=holder.key.id,
                endpoint=endpoint,
                model=model,
                error=refusal.code,
                http_status=refusal.status,
                tag=tag,
                network=network,
            )
        )


def _asked_in(body: bytes) -> str:
    """The model that *body* asks for, as far as that can be told at a glance."""
    if not body or len(body) > _LOOKED_AT_BYTES:
        return ""
    try:
        return _ASKED.decode(body).model
    except UNREADABLE:
        return ""


def _shown(model: str) -> str:
    """*model* as a row may hold it: a client can write anything there (K13)."""
    return model if len(model) <= _SHOWN_CHARS and model.isprintable() else ""
