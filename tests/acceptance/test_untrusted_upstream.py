"""The upstream is untrusted input (section 10): what it compresses, where it points, whom it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.caller import (
    Caller,
    assert_books_hold,
    assert_bound,
    assert_exact,
    assert_void,
    new_caller,
)
from tests.support.processes import CREDENTIAL, Mock, Server, start_server

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("server"), mock.url)
    yield server
    assert_books_hold(server, mock)
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture
def caller(server: Server, mock: Mock) -> Caller:
    return new_caller(server, mock)


@STREAMED
def test_identity_is_asked_for_and_what_comes_compressed_is_read(
    caller: Caller, stream: bool
) -> None:
    answer = caller.ask("Hi [[echo:plain]] [[fault:gzip]]", stream=stream)

    assert answer.status == 200
    assert "content-encoding" not in {name.lower() for name in answer.headers}
    assert (b"data: " if stream else b"plain") in answer.body
    assert ["accept-encoding", "identity"] in caller.mock.requests()[-1]["headers"]
    assert_exact(caller)


@STREAMED
def test_a_small_reply_that_grows_without_measure_is_cut_off(caller: Caller, stream: bool) -> None:
    before = resident_bytes(caller.server)

    answer = caller.ask("Hi [[fault:gzip-bomb]]", stream=stream)

    assert answer.status == 200  # the first of it had gone out by then
    if stream:
        assert answer.code == "upstream_unavailable"
        assert len(answer.body) < 17 << 20
    else:
        assert answer.body == b"", "a client must see that it is not whole"
    assert_bound(caller)
    assert resident_bytes(caller.server) - before < 64 << 20
    assert caller.ask("Hi").status == 200


@STREAMED
def test_a_coding_that_nobody_asked_for_and_nothing_here_reads_is_no_reply(
    caller: Caller, stream: bool
) -> None:
    answer = caller.ask("Hi [[fault:unknown-coding]]", stream=stream)

    assert (answer.status, answer.code) == (502, "upstream_unavailable")
    assert_bound(caller)


@STREAMED
def test_a_redirect_is_not_followed(caller: Caller, stream: bool) -> None:
    """Else the request, with our credential in it, would go wherever a reply says; nobody knows what it cost (M9)."""
    answer = caller.ask("Hi [[fault:redirect]]", stream=stream)

    assert (answer.status, answer.code) == (502, "upstream_unavailable")
    assert "location" not in {name.lower() for name in answer.headers}
    assert caller.mock.state()["redirected"] == 0
    assert_bound(caller)


@STREAMED
@pytest.mark.parametrize(
    "fault", ["400-organisation", "401", "403", "404", "429", "429-long", "insufficient-quota"]
)
def test_no_text_of_the_upstream_names_our_account(
    caller: Caller, fault: str, stream: bool
) -> None:
    """Organisation, project and pieces of the credential; what the texts say besides is kept."""
    answer = caller.ask(f"Hi [[fault:{fault}]]", stream=stream)

    told = answer.body.decode()
    for secret in ("org-", "proj_", "sk-proj", CREDENTIAL, CREDENTIAL[-4:]):
        assert secret not in told
        assert not any(secret in value for value in answer.headers.values())
    if fault == "400-organisation":
        assert (answer.status, answer.code) == (400, "invalid_value")
        assert "has no access to it" in told
        assert_void(caller, 400, "invalid_value")


def resident_bytes(server: Server) -> int:
    """Memory of the server."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
