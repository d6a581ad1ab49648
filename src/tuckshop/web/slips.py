"""
Slips to be printed and cut: a page of its own that needs no server, no network and no script.

Rendered where the keys arrive, by the command that asked for them, so that no secret crosses the wire once more for
its looks. What people wrote stands there as text (K13).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources

import segno

from tuckshop.web.sources import csp_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """What one member gets to read: a key, or a link that shows one."""

    name: str
    external_id: str
    key: str | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    expires_on: str | None  # "2026-12-31"; None: never
    models: Sequence[str] | None  # None: all
    limits: Sequence[str]  # as sentences


def slips_page(course: str, base_url: str | None, slips: Iterable[Slip]) -> str:
    """The page, five slips to a sheet of A4. *base_url* None: nobody knows it here, so the reader has to be told."""
    style = resources.files("tuckshop.web").joinpath("slips.css").read_text("utf-8")
    body = "\n".join(_slip(course, base_url, slip) for slip in slips)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src {csp_hash(style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Slips: {escape(course)}</title>
<style>{style}</style>
</head>
<body>
<header class="note">
<h1>Slips: <bdi>{escape(course)}</bdi></h1>
<p>Print this page on A4, cut along the lines, and delete the file: whoever reads it can spend.</p>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def _slip(course: str, base_url: str | None, slip: Slip) -> str:
    secret = slip.key or slip.url or ""
    # Error correction M stands a fold and a coffee stain. Any mask suits text that is random; to try all eight
    # would take five times as long.
    code = segno.make_qr(secret, error="m", mask=1).svg_inline(
        border=2, omitsize=True, svgclass=None, lineclass=None
    )
    who = f"<bdi>{escape(slip.name)}</bdi>" if slip.name else ""
    what = _key(base_url, slip.key) if slip.key else _link(slip)
    return f"""<section class="slip">
<div class="words">
<p class="course"><bdi>{escape(course)}</bdi></p>
<h2>{who} <span class="id"><bdi>{escape(slip.external_id)}</bdi></span></h2>
{what}
<p>{escape(_may(slip))}</p>
</div>
<div class="code">{code}<p>{"your key" if slip.key else "your link"}</p></div>
</section>"""


def _key(base_url: str | None, key: str) -> str:
    address = base_url or "the address that you are told, with /v1"
    lines = (
        f"OPENAI_API_KEY={key}",
        f"OPENAI_BASE_URL={address}",
        f"OPENAI_API_BASE={address}",
        "OPENAI_AGENTS_DISABLE_TRACING=1",
    )
    text = "\n".join(escape(line) for line in lines)
    return f"<p>Set all four, as variables of your shell or in your client:</p>\n<pre>{text}</pre>"


def _link(slip: Slip) -> str:
    until = f" until {slip.expires_on}" if slip.expires_on else ""
    return f"""<p>Open this link{until}. It works <strong>once</strong> and shows your key, and how to use it:</p>
<pre>{escape(slip.url or "")}</pre>"""


def _may(slip: Slip) -> str:
    """What the key opens, in words."""
    models = "all models" if slip.models is None else ", ".join(slip.models) or "no model"
    told = [f"For {models}", *slip.limits]
    if slip.key and slip.expires_on:
        told.append(f"until {slip.expires_on}")
    return "; ".join(told) + ". Keep it like a password: who has it spends your budget."
