"""Slips: what stands on them, and that they are text and nothing else."""

from __future__ import annotations

import re

from tuckshop.domain.keys import new_secret
from tuckshop.web.slips import Slip, slips_page
from tuckshop.web.sources import csp_hash

HOSTILE = "<script>alert(1)</script>\"'&\u202e"


def slip(**fields: object) -> Slip:
    known: dict[str, object] = {
        "name": "Ada Lovelace",
        "external_id": "4711",
        "expires_on": None,
        "models": ["gpt-4o-mini"],
        "limits": ["$0.20 a month, renews 1 Dec 00:00 (Europe/Berlin)"],
    }
    return Slip(**(known | fields))  # type: ignore[arg-type]  # as the fields are declared


def test_a_slip_with_a_key_names_every_variable_that_a_client_reads() -> None:
    key = new_secret()

    page = slips_page("Software architecture", "https://t.example/v1", [slip(key=key)])

    for line in (
        f"OPENAI_API_KEY={key}",
        "OPENAI_BASE_URL=https://t.example/v1",
        "OPENAI_API_BASE=https://t.example/v1",
        "OPENAI_AGENTS_DISABLE_TRACING=1",
    ):
        assert line in page
    for words in (
        "Ada Lovelace",
        "4711",
        "Software architecture",
        "For gpt-4o-mini; $0.20 a month",
    ):
        assert words in page
    assert page.count("<svg") == 1


def test_a_slip_with_a_link_shows_no_variable_and_says_until_when() -> None:
    page = slips_page(
        "Swa", None, [slip(url="https://t.example/claim/#abc", expires_on="2026-12-09")]
    )

    assert "https://t.example/claim/#abc" in page
    assert "until 2026-12-09" in page
    assert "OPENAI_" not in page


def test_what_people_wrote_is_text_and_nothing_can_be_loaded_or_run() -> None:
    """K13."""
    page = slips_page(
        HOSTILE,
        "https://t.example/v1",
        [slip(name=HOSTILE, external_id=HOSTILE, key=new_secret(), models=[HOSTILE])],
    )

    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6
    assert " src=" not in page
    assert "url(" not in page
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy == f"default-src 'none'; style-src {csp_hash(style)}"


def test_a_secret_is_not_in_what_a_traceback_would_show() -> None:
    """K1."""
    key = new_secret()

    assert key not in repr(slip(key=key))
