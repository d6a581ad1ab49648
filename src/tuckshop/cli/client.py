"""
The admin API, as the commands call it: find the server, send, read, and say plainly what went wrong.

On the server's machine the data folder tells address and token; elsewhere `TUCKSHOP_URL` and `TUCKSHOP_ADMIN_TOKEN`
do. The token goes to that address and nowhere else: no proxy is used and no redirect followed.
"""

from __future__ import annotations

import http.client
import os
import secrets
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from tuckshop.cli.terminal import waiting
from tuckshop.settings import Settings, load_for_commands
from tuckshop.upstreams.tls import client_context

TIMEOUT_S: Final = 60.0
RETRY_S: Final = 0.5  # before a call whose answer was lost is sent again
PAGE: Final = 200
_PIECE_BYTES: Final = 65_536
_LINES: Final = "application/x-ndjson"
ANSWER_MAX_BYTES: Final = 256 << 20
Json = dict[str, Any]

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class RefusedError(click.ClickException):
    """The server, or the way to it, said no: exit status 1, the reason on stderr."""

    exit_code = 1

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """*status*: the one of the server's answer; None: there was none."""
        super().__init__(message)
        self.status = status


class ChangedError(RefusedError):
    """Somebody changed it since it was read; nothing was changed from here."""


class LostError(RefusedError):
    """The connection broke: whether the server did what was asked, nobody can tell from here."""


class _Run(msgspec.Struct):
    """What a running server leaves in its data folder."""

    url: str
    pid: int
    calls_url: str | None = None


class Client:
    """One server's admin API."""

    def __init__(
        self, url: str, token: str, *, calls_url: str | None = None, ca_file: Path | None = None
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.calls_url = calls_url  # how key holders reach the server; None: unknown from here
        self._ca_file = ca_file
        self._token = token
        self._host = parts.hostname or ""
        self._port = parts.port
        self._base = parts.path.rstrip("/") + "/api/v1"
        self._is_tls = parts.scheme == "https"

    @classmethod
    def connect(cls) -> Client:
        """
        The server that the settings of this process point at.

        Raises:
            RefusedError: None runs, or its token is not at hand.
            SettingsError: A setting that does not exist or has a bad value.
        """
        settings = load_for_commands().settings
        url, token, calls_url = _find(settings)
        return cls(url, token, calls_url=calls_url, ca_file=settings.ca_file)

    def get(self, *path: str, **query: object) -> Any:
        """Read *path* (each part is escaped); a *query* value of None is left out."""
        return self._call("GET", path, query)

    def get_with_version(self, *path: str) -> tuple[Any, str | None]:
        """The same, and its version as `patch` takes it; None: it has none."""
        headers = self._headers("application/json")
        with self._reply("GET", self._target(path, {}), headers, None) as reply:
            return self._answer_of(reply), reply.headers.get("etag")

    def post(self, *path: str, body: object = None, **query: object) -> Any:
        """Make or do something."""
        return self._call("POST", path, query, body)

    def make(self, *path: str, body: object, **query: object) -> Any:
        """Make something. Where the connection breaks it is sent once more, and still made once."""
        return self._make(path, query, _ENCODER.encode(body), "application/json")

    def post_csv(self, *path: str, data: bytes, **query: object) -> Any:
        """Send a CSV file as it is, to be looked at."""
        return self._send("POST", path, query, data, "text/csv")

    def make_of_csv(self, *path: str, data: bytes, **query: object) -> Any:
        """`make` of a CSV file."""
        return self._make(path, query, data, "text/csv")

    def put(self, *path: str, body: object) -> Any:
        """Say how something is."""
        return self._call("PUT", path, {}, body)

    def patch(self, *path: str, body: object, version: str | None = None) -> Any:
        """Change some fields, with a *version* only if it is still that one."""
        data = _ENCODER.encode(body)
        return self._send("PATCH", path, {}, data, "application/json", version=version)

    def change(self, *path: str, body: object, version: str | None) -> Any:
        """
        `patch` of what was read as *version*: nothing that somebody else changed meanwhile is undone.

        Raises:
            ChangedError: Somebody did; nothing was changed from here.
        """
        return self.patch(*path, body=body, version=version)

    def delete(self, *path: str) -> Any:
        """Archive."""
        return self._call("DELETE", path, {})

    def rows(self, *path: str, limit: int | None = None, **query: object) -> Iterator[Json]:
        """The rows of a list, page by page, at most *limit*."""
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.get(*path, **query, cursor=cursor, limit=size)
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["data"])

    def copy_csv(self, *path: str, out: IO[bytes], **query: object) -> None:
        """Copy a list as CSV to *out*, piece by piece."""
        self.copy("text/csv", *path, out=out, **query)

    def copy(self, media_type: str, *path: str, out: IO[bytes], **query: object) -> None:
        """Copy what is to be had as *media_type* to *out*, piece by piece."""
        with self._reply(
            "GET", self._target(path, query), self._headers(media_type), None
        ) as reply:
            if reply.status != 200 or media_type not in reply.headers.get("content-type", ""):
                self._answer_of(reply)
                raise RefusedError(f"{self.url} does not answer as tuckshop does.")
            try:
                copied = 0
                with waiting(
                    "Copying", hidden=out.isatty(), so_far=lambda: f"{copied / 1e6:,.1f} MB"
                ):
                    while piece := reply.read(_PIECE_BYTES):
                        out.write(piece)
                        copied += len(piece)
            except (OSError, http.client.HTTPException) as error:
                raise RefusedError(f"{self.url} broke off: what was written is not all.") from error
        out.flush()

    def lines(self, *path: str, body: object) -> Iterator[bytes]:
        """Ask for rows by a call that sends something; a JSON object each, as it comes."""
        headers = self._headers(_LINES) | {"content-type": "application/json"}
        data = _ENCODER.encode(body)
        with self._reply("POST", self._target(path, {}), headers, data) as reply:
            if reply.status != 200 or _LINES not in reply.headers.get("content-type", ""):
                self._answer_of(reply)
                raise RefusedError(f"{self.url} does not answer as tuckshop does.")
            line = bytearray()
            try:
                while piece := reply.read(_PIECE_BYTES):
                    first, *more = piece.split(b"\n")
                    line += first
                    for part in more:
                        yield bytes(line)
                        line = bytearray(part)
            except (OSError, http.client.HTTPException) as error:
                raise LostError(f"{self.url} broke off: what came is not all.") from error

    def _call(
        self, method: str, path: tuple[str, ...], query: Mapping[str, object], body: object = None
    ) -> Any:
        data = None if body is None else _ENCODER.encode(body)
        return self._send(method, path, query, data, "application/json")

    def _make(
        self, path: tuple[str, ...], query: Mapping[str, object], data: bytes, sent_type: str
    ) -> Any:
        name = secrets.token_urlsafe(24)
        try:
            return self._send("POST", path, query, data, sent_type, name=name)
        except LostError:
            time.sleep(RETRY_S)
            return self._send("POST", path, query, data, sent_type, name=name)

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, object],
        data: bytes | None,
        sent_type: str,
        *,
        name: str | None = None,
        version: str | None = None,
    ) -> Any:
        headers = self._headers("application/json")
        if name is not None:
            headers["idempotency-key"] = name
        if version is not None:
            headers["if-match"] = version
        if data is not None:
            headers["content-type"] = sent_type
        with self._reply(method, self._target(path, query), headers, data) as reply:
            return self._answer_of(reply)

    def _target(self, path: tuple[str, ...], query: Mapping[str, object]) -> str:
        target = "/".join([self._base, *(quote(part, safe="") for part in path)])
        sent = {name: _query_value(value) for name, value in query.items() if value is not None}
        return f"{target}?{urlencode(sent)}" if sent else target

    def _headers(self, accept: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "accept": accept}

    def _answer_of(self, reply: http.client.HTTPResponse) -> Any:
        try:
            raw = reply.read(ANSWER_MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise LostError(f"{self.url} broke off in its answer.") from error
        media_type = reply.headers.get("content-type", "")
        if 300 <= reply.status < 400:
            raise RefusedError(
                f"{self.url} answers with a redirect, which is not followed: set TUCKSHOP_URL to the final address."
            )
        try:
            answer = _DECODER.decode(raw) if raw else None
        except msgspec.DecodeError:
            answer = None
            media_type = ""
        if reply.status == 412:
            who, _, _ = _reason(reply.status, answer, self.url).partition(" Read it again")
            raise ChangedError(
                f"{who} Nothing was changed from here: look at it, and run this again."
            )
        if reply.status >= 400:
            raise RefusedError(_reason(reply.status, answer, self.url), status=reply.status)
        if raw and "json" not in media_type:
            raise RefusedError(
                f"{self.url} does not answer as tuckshop does: is the address right?"
            )
        return answer

    @contextmanager
    def _reply(
        self, method: str, target: str, headers: Mapping[str, str], data: bytes | None
    ) -> Iterator[http.client.HTTPResponse]:
        """The reply, its body still to be read."""
        connection: http.client.HTTPConnection
        if self._is_tls:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_S, context=client_context(self._ca_file)
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body=data, headers=dict(headers))
            reply = connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise RefusedError(
                f"{self.url} has no certificate that this machine trusts ({error.verify_message})."
            ) from error
        except ConnectionRefusedError as error:
            connection.close()
            raise RefusedError(
                f"No server answers at {self.url}. Start one with `tuckshop serve`."
            ) from error
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            connection.close()
            raise LostError(
                f"{self.url} broke off before it answered ({type(error).__name__})."
            ) from error
        except OSError as error:
            connection.close()
            raise RefusedError(
                f"{self.url} cannot be reached: {str(error) or type(error).__name__}."
            ) from error
        try:
            yield reply
        finally:
            connection.close()


def _find(settings: Settings) -> tuple[str, str, str | None]:
    """(address, admin token, how key holders reach it) of the server that *settings* point at."""
    if settings.url is not None:
        return settings.url, settings.admin_token or _asked_for_token(), settings.public_url
    run = _run_file(settings.data)
    token = settings.admin_token
    if token is None:
        path = settings.data / "admin-token"
        try:
            token = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"The admin token in {path} cannot be read: {error}.") from error
    return run.url, token, run.calls_url


def _run_file(folder: Path) -> _Run:
    path = folder / "run.json"
    nowhere = (
        f"No server runs over the data folder {folder}. Start one with `tuckshop serve`; if it runs over another"
        " folder, set TUCKSHOP_DATA; on another machine, TUCKSHOP_URL and TUCKSHOP_ADMIN_TOKEN."
    )
    try:
        run = msgspec.json.decode(path.read_bytes(), type=_Run)
    except FileNotFoundError:
        raise RefusedError(nowhere) from None
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(f"{path} cannot be read: {error}.") from error
    # What listens there after the server's death could be anybody's, and would be handed the token.
    if not _is_alive(run.pid):
        raise RefusedError(nowhere)
    return run


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _asked_for_token() -> str:
    if not sys.stdin.isatty():
        raise RefusedError(
            "TUCKSHOP_URL is set, but no admin token: set TUCKSHOP_ADMIN_TOKEN_FILE or TUCKSHOP_ADMIN_TOKEN."
        )
    token = click.prompt("Admin token", hide_input=True, err=True)
    assert isinstance(token, str)
    return token.strip()


def _query_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _reason(status: int, answer: object, url: str) -> str:
    """The sentence of a refusal, and a line for each further field that could not be taken."""
    if not isinstance(answer, dict) or not isinstance(answer.get("detail"), str):
        return f"{url} answers {status}, but not as tuckshop does: is the address right?"
    lines = [answer["detail"]]
    errors = [error for error in answer.get("errors", []) if isinstance(error, dict)]
    if len(errors) > 1:
        lines = ["Nothing was changed:"]
        lines += [f"  {error.get('field')}: {error.get('message')}" for error in errors]
    if status == 401:
        lines.append("Is TUCKSHOP_ADMIN_TOKEN that of this server?")
    is_limit = any(str(e.get("field")).startswith(("each", "shared", "limits")) for e in errors)
    if is_limit and not any("€" in str(error.get("message")) for error in errors):
        lines.append(
            "(Write limits in single quotes: elsewhere the shell replaces $0 by something else.)"
        )
    return "\n".join(lines)
