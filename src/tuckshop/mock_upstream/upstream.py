"""The made-up provider itself: routes a request, answers it or plays a fault, and bills it."""

from __future__ import annotations

import hmac
import itertools
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tuckshop.mock_upstream import completions, embeddings, moderations, parameters
from tuckshop.mock_upstream.bill import Bill, BillEntry, Record
from tuckshop.mock_upstream.catalogue import MODELS, MockModel
from tuckshop.mock_upstream.chat_answer import Thought, Thoughts, make_answer, think
from tuckshop.mock_upstream.chat_reply import reply_bytes
from tuckshop.mock_upstream.chat_request import ChatRequest, read_chat
from tuckshop.mock_upstream.chat_stream import stream_frames
from tuckshop.mock_upstream.connection import Connection, Exchange, Request
from tuckshop.mock_upstream.control import serve_control
from tuckshop.mock_upstream.delivery import Delivery
from tuckshop.mock_upstream.errors import (
    ApiError,
    missing_key,
    not_json,
    unknown_model,
    unknown_path,
    wrong_key,
    wrong_method,
)
from tuckshop.mock_upstream.faults import FAULTS, ODD_USAGE, distort
from tuckshop.mock_upstream.markers import number
from tuckshop.mock_upstream.options import MockOptions
from tuckshop.mock_upstream.reply_head import ReplyHead
from tuckshop.mock_upstream.responses_reply import response_bytes, response_frames
from tuckshop.mock_upstream.responses_request import read_response
from tuckshop.mock_upstream.script import Refusal, Script
from tuckshop.mock_upstream.scripting import script_for
from tuckshop.mock_upstream.state import CACHED_FROM_TOKENS, Running, State
from tuckshop.mock_upstream.wire import reply_wire, stream_wire

_CACHE_STEP_TOKENS: Final = 128
_decode: Final = msgspec.json.decode
_encode: Final = msgspec.json.encode


@dataclass(slots=True)
class _Call:
    """One request on its way to an answer."""

    exchange: Exchange
    number: str  # 29 letters and digits; ids are made from it
    upstream_id: str
    client_id: str | None
    started_ns: int


class MockUpstream:
    """The application behind the connections."""

    def __init__(self, options: MockOptions) -> None:
        self.options = options
        self.state = State()
        self._bill = None if options.bill is None else Bill(options.bill)
        self._record = None if options.record is None else Record(options.record)
        self._run = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._head = ReplyHead()
        self._thoughts = Thoughts()
        self._healthy = Script(
            tokens_per_second=options.tokens_per_second,
            first_delay_s=options.first_token_ms / 1000,
        )
        self._at_once = not options.tokens_per_second and not options.first_token_ms
        self._posts: dict[str, Callable[[_Call, bytes], None]] = {
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._completions,
            "/v1/responses": self._responses,
            "/v1/responses/input_tokens": self._input_tokens,
            "/v1/embeddings": self._embeddings,
            "/v1/moderations": self._moderations,
        }

    def close(self) -> None:
        """Write no more."""
        for lines in (self._bill, self._record):
            if lines is not None:
                lines.close()
        self._bill = self._record = None

    # What connections call.

    def connected(self, connection: Connection) -> None:
        self.state.connections.add(connection)
        self.state.connections_made += 1

    def disconnected(self, connection: Connection) -> None:
        self.state.connections.discard(connection)

    def head_read(self, request: Request, connection: Connection) -> bool:
        queued = self.state.queued_faults
        if queued and queued[0] == "refuse-after-headers" and request.method == "POST":
            if request.target.startswith(b"/_mock/"):
                return True
            queued.popleft()
            connection.transport.close()
            return False
        return True

    def serve(self, request: Request, exchange: Exchange) -> None:
        path = request.target.partition(b"?")[0].decode("latin-1")
        if path.startswith("/_mock/"):
            serve_control(self.state, request, exchange)
            return
        count = next(self._numbers)
        client_id = request.header(b"x-client-request-id")
        call = _Call(
            exchange=exchange,
            number=f"{self._run}{count:013x}",
            upstream_id=f"req_{self._run}{count:016x}",
            client_id=None if client_id is None else client_id.decode("latin-1"),
            started_ns=time.perf_counter_ns(),
        )
        self.state.requests[f"{request.method} {path}"] += 1
        if self._record is not None:
            self._record.write(
                request, upstream_id=call.upstream_id, connection=exchange.connection.number
            )
        try:
            self._identify(request)
            self._route(call, request, path)
        except ApiError as error:
            self._refuse(call, Refusal(status=error.status, body=error.body()))

    def _identify(self, request: Request) -> None:
        given = request.header(b"authorization") or b""
        scheme, _, key = given.partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise missing_key()
        expected = self.options.credential
        if expected is not None and not hmac.compare_digest(key, expected.encode()):
            raise wrong_key(key.decode("latin-1"))

    def _route(self, call: _Call, request: Request, path: str) -> None:
        if (post := self._posts.get(path)) is not None:
            if request.method != "POST":
                raise wrong_method(request.method, path)
            post(call, request.body)
        elif path == "/v1/models" or path.startswith("/v1/models/"):
            if request.method != "GET":
                raise wrong_method(request.method, path)
            self._models(call, path.removeprefix("/v1/models").lstrip("/"))
        else:
            raise unknown_path(request.method, path)

    # The endpoints.

    def _models(self, call: _Call, name: str) -> None:
        if not name:
            listed = [model.to_json() for model in MODELS.values()]
            self._reply(call, {"object": "list", "data": listed})
            return
        model = MODELS.get(name)
        if model is None:
            raise unknown_model(name)
        self._reply(call, model.to_json())

    def _chat(self, call: _Call, body: bytes) -> None:
        self._generate(call, self._think(body), stream_frames, reply_bytes)

    def _completions(self, call: _Call, body: bytes) -> None:
        thought = completions.think_completion(_parse(body))
        self._generate(call, thought, completions.stream_frames, completions.reply_bytes)

    def _responses(self, call: _Call, body: bytes) -> None:
        thought = think(read_response(_parse(body)))
        self._generate(call, thought, response_frames, response_bytes)

    def _input_tokens(self, call: _Call, body: bytes) -> None:
        request = read_response(_parse(body), parameters.INPUT_TOKENS)
        self._reply(call, {"object": "response.input_tokens", "input_tokens": request.input_tokens})

    def _generate(self, call: _Call, thought: Thought, frames_of: Any, bytes_of: Any) -> None:
        """Answer with *thought*: as the frames of a stream, or as the bytes of one reply."""
        request = thought.request
        script = script_for(
            self.state, self._healthy, request.model.name, request.markers, call.client_id
        )
        if self._refused_unbilled(call, script, streams=request.stream):
            return
        cached, written = self._cache(request)
        answer = make_answer(
            thought,
            number_=call.number,
            created=time.time_ns() // 1_000_000_000,
            cached_tokens=cached,
            cache_write_tokens=written,
        )
        if script is not self._healthy:
            distort(answer, script)
        entry = self._open_entry(
            call,
            request.model,
            served=answer.model,
            service_tier=answer.service_tier,
            input_tokens=request.input_tokens,
            cached_tokens=cached,
            cache_write_tokens=written,
        )
        total = answer.output_tokens
        if self._refused_billed(call, script, entry, total):
            return
        if request.stream:
            fields = self._head.fields(
                call.upstream_id,
                call.started_ns,
                input_tokens=request.input_tokens,
                content_type=b"text/event-stream; charset=utf-8",
            )
            frames = frames_of(answer, usage=script.usage_place)
            wire = stream_wire(call.exchange, fields, frames, script)
            after_leave = self.options.after_leave_tokens
            self._deliver(call, wire, script, entry, after_leave, request.markers)
            return
        reply = bytes_of(answer, with_usage=script.usage_place != "absent")
        self._answer(call, reply, script, entry, total, request.input_tokens, request.markers)

    def _think(self, body: bytes) -> Thought:
        thought = self._thoughts.find(body)
        if thought is None:
            thought = think(read_chat(_parse(body)))
            self._thoughts.keep(body, thought)
        return thought

    def _embeddings(self, call: _Call, body: bytes) -> None:
        request = embeddings.read_embeddings(_parse(body))
        script = script_for(
            self.state, self._healthy, request.model.name, request.markers, call.client_id
        )
        if self._refused_unbilled(call, script, streams=False):
            return
        served = script.model or request.model.answers_as
        entry = self._open_entry(
            call, request.model, served=served, input_tokens=request.input_tokens
        )
        if self._refused_billed(call, script, entry, 0):
            return
        reply = embeddings.reply_object(request, served)
        if script.usage_place == "absent":
            del reply["usage"]
        elif script.usage_value is not None:
            reply["usage"] = ODD_USAGE[script.usage_value](reply["usage"])
        self._answer(call, _dump(reply), script, entry, 0, request.input_tokens, request.markers)

    def _moderations(self, call: _Call, body: bytes) -> None:
        request = moderations.read_moderations(_parse(body))
        script = script_for(
            self.state, self._healthy, request.model.name, request.markers, call.client_id
        )
        if self._refused_unbilled(call, script, streams=False):
            return
        if self._refused_billed(call, script, None, 0):
            return
        served = script.model or request.model.answers_as
        reply = moderations.reply_object(request, served, number_=call.number)
        if script is not self._healthy:
            reply = moderations.distorted(reply, script)
        self._answer(call, _dump(reply), script, None, 0, 0, request.markers)

    # Billing and sending.

    def _cache(self, request: ChatRequest) -> tuple[int, int]:
        """(tokens read from the cache, tokens written to it)"""
        asked = number(request.markers, "cached")
        if asked is not None:
            return min(max(0, int(asked)), request.input_tokens), 0
        if not request.model.caches or request.input_tokens < CACHED_FROM_TOKENS:
            return 0, 0
        cached = self.state.cached_tokens(request.text, request.input_tokens)
        if not request.model.counts_cache_writes:
            return cached, 0
        rest = request.input_tokens - cached
        return cached, rest - rest % _CACHE_STEP_TOKENS

    def _open_entry(
        self,
        call: _Call,
        model: MockModel,
        *,
        served: str,
        service_tier: str = "default",
        input_tokens: int,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
    ) -> BillEntry | None:
        if self._bill is None:
            return None
        return self._bill.open_entry(
            client_id=call.client_id,
            upstream_id=call.upstream_id,
            model=model.name,
            served_model=served,
            service_tier=service_tier,
            input_tokens=input_tokens,
            cached_tokens=cached_tokens,
            cache_write_tokens=cache_write_tokens,
        )

    def _refused_unbilled(self, call: _Call, script: Script, *, streams: bool) -> bool:
        refusal = script.refusal
        if script.midway == "error-event" and not streams:
            refusal = FAULTS["500"].script.refusal
        if refusal is not None and not refusal.bills:
            self._refuse(call, refusal)
            return True
        if script.before_head == "close":
            call.exchange.close()
            return True
        return False

    def _refused_billed(
        self, call: _Call, script: Script, entry: BillEntry | None, output_tokens: int
    ) -> bool:
        if script.refusal is None and script.before_head != "reset":
            return False
        if entry is not None:
            entry.piece(output_tokens)
            entry.end("cut")
        if script.refusal is not None:
            self._refuse(call, script.refusal)
        else:
            call.exchange.reset()
        return True

    def _refuse(self, call: _Call, refusal: Refusal) -> None:
        content_type = refusal.content_type.encode()
        fields = self._head.fields(call.upstream_id, call.started_ns, content_type=content_type)
        for name, value in refusal.headers:
            fields += b"%b: %b\r\n" % (name.encode(), value.encode())
        self.state.statuses[refusal.status] += 1
        call.exchange.reply(refusal.status, fields, refusal.body)

    def _reply(self, call: _Call, reply: dict[str, Any]) -> None:
        self.state.statuses[200] += 1
        fields = self._head.fields(call.upstream_id, call.started_ns)
        call.exchange.reply(200, fields, _encode(reply))

    def _answer(
        self,
        call: _Call,
        body: bytes,
        script: Script,
        entry: BillEntry | None,
        output_tokens: int,
        input_tokens: int,
        markers: dict[str, str],
    ) -> None:
        """A reply in one piece; it is computed to its end even if nobody waits for it."""
        fields = self._head.fields(call.upstream_id, call.started_ns, input_tokens=input_tokens)
        if script is self._healthy and self._at_once:  # the many
            if entry is not None:
                entry.piece(output_tokens)
                entry.end("done")
            self.state.statuses[200] += 1
            call.exchange.reply(200, fields, body)
            return
        wire = reply_wire(call.exchange, fields, body, output_tokens, script)
        self._deliver(call, wire, script, entry, None, markers)

    def _deliver(
        self,
        call: _Call,
        wire: Any,
        script: Script,
        entry: BillEntry | None,
        after_leave_tokens: int | None,
        markers: dict[str, str],
    ) -> None:
        running = self.state.running

        def done() -> None:
            del running[call.upstream_id]
            self.state.statuses[200] += 1

        delivery = Delivery(
            call.exchange,
            wire,
            script=script,
            entry=entry,
            run_ahead_tokens=self.options.run_ahead_tokens,
            after_leave_tokens=after_leave_tokens,
            on_done=done,
        )
        names = {
            call.upstream_id,
            f"chatcmpl-{call.number}",
            f"cmpl-{call.number}",
            f"resp_{call.number}",
            call.client_id,
            markers.get("lockstep"),
        }
        running[call.upstream_id] = Running(delivery, frozenset(name for name in names if name))
        delivery.start()


def _parse(body: bytes) -> object:
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise not_json() from None


def _dump(reply: dict[str, Any]) -> bytes:
    """By `json`, since a script's numbers may be larger than msgspec's."""
    return json.dumps(reply, separators=(",", ":"), ensure_ascii=False).encode()
