"""
The process that holds the vocabularies: counts tokens of the texts it is sent, until its input ends.

It is started by its path, with nothing of tuckshop imported and an empty environment: whatever a hostile text may do
to the tokenizer, there is no credential here. A vocabulary is loaded when it is first asked for.

    in:   ENCODING SIZE SIZE … LF, then the texts, of so many bytes of UTF-8 each
    out:  COUNT COUNT … LF
"""

from __future__ import annotations

import resource
import sys


def main() -> None:
    """Serve standard input and output."""
    # A core dump would hold people's texts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import toktok  # here, since the server imports this module to find its path

    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for head in iter(source.readline, b""):
        encoding, *sizes = head.decode().split()
        texts = [source.read(int(size)).decode() for size in sizes]
        counts = toktok.batch_count(texts, encoding, threads=1)
        sink.write(b" ".join(b"%d" % count for count in counts) + b"\n")
        sink.flush()


if __name__ == "__main__":
    main()
