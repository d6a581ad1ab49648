"""A paper for data protection as a page to read and print: no script, nothing fetched, every name as text (K13)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final

from starlette.responses import Response

from tuckshop.api.problems import HEADERS
from tuckshop.services.papers.document import Block, Heading, Items, Para, Rows, plain, rendered
from tuckshop.services.shapes.papers import WrittenPaper

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #111; --paper: #fff; --line: #bbb; --gap: #fe8 }
@page { size: A4; margin: 18mm 16mm }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 46rem; margin: 0 auto; padding: 1.5rem 1rem; overflow-wrap: anywhere; hyphens: auto }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem } h2 { font-size: 1.2rem; margin: 2rem 0 .4rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem } h1, h2, h3 { break-after: avoid; hyphens: manual }
p { margin: .5rem 0 } ul { margin: .5rem 0; padding-left: 1.3rem } li { margin: .25rem 0 }
table { border-collapse: collapse; width: 100%; margin: .7rem 0 }
thead { display: table-header-group } tr { break-inside: avoid }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line) }
td:first-child, th:first-child { width: 32% } th { border-bottom-color: var(--ink) }
mark { background: var(--gap); color: #111; padding: 0 .2em }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #16181b; --line: #555 } }
@media print { :root { --ink: #000; --paper: #fff } body { font-size: 9.5pt; max-width: none; padding: 0 } }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_FILE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
)
_POLICY: Final = f"{_FILE_POLICY}; frame-ancestors 'none'"  # which a file cannot say


def page(paper: WrittenPaper) -> Response:
    """The answer that holds it."""
    shape = paper.shape
    about = "all" if shape.group is None else shape.group
    return Response(
        html_of(paper),
        media_type="text/html; charset=utf-8",
        headers={
            **HEADERS,
            "content-security-policy": _POLICY,
            "referrer-policy": "no-referrer",
            "content-disposition": f'inline; filename="{shape.paper}-{about}-{shape.lang}.html"',
        },
    )


def html_of(paper: WrittenPaper) -> str:
    """The page. Opened from a file it is bound by the same policy."""
    title = next((plain(b.text) for b in paper.blocks if isinstance(b, Heading)), "")
    body = "\n".join(map(_block, paper.blocks))
    return (
        f'<!doctype html>\n<html lang="{paper.shape.lang}"><head><meta charset="utf-8">'
        f'<meta http-equiv="content-security-policy" content="{_FILE_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
        case Para():
            return f"<p>{_inline(block.text)}</p>"
        case Items():
            return f"<ul>{''.join(f'<li>{_inline(text)}</li>' for text in block.texts)}</ul>"
        case Rows():
            heads = f"<thead>{_line('th', block.heads)}</thead>" if any(block.heads) else ""
            rows = "".join(_line("td", row) for row in block.rows)
            return f"<table>{heads}<tbody>{rows}</tbody></table>"


def _line(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_inline(cell)}</{tag}>' for cell in cells)}</tr>"


def _inline(text: str) -> str:
    return rendered(
        text,
        ours=escape,
        theirs=lambda part: f"<bdi>{escape(part)}</bdi>",
        missing=lambda part: f"<mark>{escape(part)}</mark>",
    )
