"""`python -m tuckshop.mock_upstream`: the made-up provider as a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from tuckshop.mock_upstream.options import MockOptions
from tuckshop.mock_upstream.server import run


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m tuckshop.mock_upstream", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8100, help="where to listen (8100); 0: any")
    parser.add_argument("--bill", type=Path, help="file to write what is billed to")
    parser.add_argument("--record", type=Path, help="file to write each request to")
    parser.add_argument("--credential", help="the only bearer that is let in (any)")
    parser.add_argument("--tokens-per-second", type=float, help="speed (as fast as possible)")
    parser.add_argument("--first-token-ms", type=float, default=0.0, help="delay of an answer (0)")
    parser.add_argument(
        "--run-ahead-tokens",
        type=int,
        default=MockOptions().run_ahead_tokens,
        help="how far to generate ahead of a client that does not read (%(default)s)",
    )
    parser.add_argument(
        "--after-leave-tokens",
        type=int,
        default=MockOptions().after_leave_tokens,
        help="how many tokens to generate after a stream's client has left (%(default)s)",
    )
    run(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
