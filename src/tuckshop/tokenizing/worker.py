"""
The process that holds the vocabularies: counts and decodes the tokens it is sent, until its input ends.

It is started by its path, with nothing of tuckshop imported and an empty environment: whatever a hostile text may do
to the tokenizer, there is no credential here. A vocabulary is loaded when it is first asked for.

    in:   count ENCODING SIZE SIZE … LF, then the texts, of so many bytes of UTF-8 each
    out:  COUNT COUNT … LF

    in:   decode ENCODING SIZE SIZE … LF, then the tokens, of so many bytes each, four to a token in the machine's order
    out:  SIZE SIZE … LF, then the texts, of so many bytes of UTF-8 each; a size of -1 where one of them is no token
"""

from __future__ import annotations

import resource
import sys
from array import array
from typing import Any


def main() -> None:
    """Serve standard input and output."""
    # A core dump would hold people's texts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import toktok  # here, since the server imports this module to find its path

    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for head in iter(source.readline, b""):
        task, encoding, *sizes = head.decode().split()
        given = [source.read(int(size)) for size in sizes]
        if task == "count":
            texts = [text.decode() for text in given]
            counts = toktok.batch_count(texts, encoding, threads=1)
            sink.write(b" ".join(b"%d" % count for count in counts) + b"\n")
        else:
            # Its public part encodes only; the version is locked, and a test looks at what comes out.
            decoded = [_decoded(toktok._encoding(encoding), array("I", some)) for some in given]
            sizes_out = (-1 if text is None else len(text) for text in decoded)
            sink.write(b" ".join(b"%d" % size for size in sizes_out) + b"\n")
            sink.writelines(text for text in decoded if text)
        sink.flush()


def _decoded(vocabulary: Any, tokens: array[int]) -> bytes | None:
    try:
        for token in set(tokens):
            vocabulary.decode_single_token_bytes(token)  # the whole would pass over what is none
    except KeyError:
        return None
    return bytes(vocabulary.decode_bytes(tokens.tolist())).decode(errors="replace").encode()


if __name__ == "__main__":
    main()
