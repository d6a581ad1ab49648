"""How soon the request log and the usage report answer when the log is long, whatever is asked for."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from bench import history
from bench.cases import LOG_QUERIES, TUCKSHOP
from bench.figures import Figure
from bench.measures.crowd import LEDGER
from bench.measures.growth import class_that_called
from bench.measures.run import Run, stage
from bench.subjects import ADMIN_TOKEN, Subject, admin, serve_again

ROWS: Final = 10_000_000
KEYS: Final = 500
ASKED: Final = 3  # times; the slowest counts, and the first of them finds nothing read before


def log(run: Run) -> Iterator[Figure]:
    """Time to the first byte, by what is asked for."""
    with stage() as on:
        class_that_called(run, on, keys=run.sized(KEYS))
        folder = on.folder / "class"
        history.fill(folder / LEDGER, run.sized(ROWS))
        subject = on.keep(serve_again(on.upstream, folder))
        newest = admin(subject, "/requests?limit=1")["data"][0]
        at = datetime.fromisoformat(newest["at"])
        words = {
            "KEY": newest["key"],
            "MEMBER": newest["member"],
            "MIDDLE": f"{at - timedelta(days=180):%Y-%m-%d}",
            "AFTER": f"{at - timedelta(days=150):%Y-%m-%d}",
        }
        for case in LOG_QUERIES:
            path = case.path
            for word, value in words.items():
                path = path.replace(word, value)
            asked = [_first_byte_ms(subject, path, case.accept) for _ in range(ASKED)]
            yield Figure(case.id, TUCKSHOP, max(asked))


def _first_byte_ms(subject: Subject, path: str, accept: str) -> float:
    """From sending the call to the first byte of the answer's body."""
    address = urlsplit(subject.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        connection.connect()
        began_s = monotonic()
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "accept": accept}
        connection.request("GET", f"/api/v1{path}", headers=headers)
        reply = connection.getresponse()
        reply.read(1)
        took_s = monotonic() - began_s
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status}")
    finally:
        connection.close()
    return 1e3 * took_s
