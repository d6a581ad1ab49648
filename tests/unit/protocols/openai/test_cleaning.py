"""What tells about the account behind this server stays here (section 10, K2)."""

from __future__ import annotations

import json

import pytest

from tuckshop.protocols.openai.cleaning import clean_json
from tuckshop.protocols.openai.errors import clean_upstream_error

SECRETS = [
    "sk-proj-abcDEF1234567890", "sk-1234567890abcdef", "sk-pro********wxyz", "sk-svcacct-a_b-c1234567",
    "org-abcdefGHIJKL12345", "proj_abcdefGHIJKL12345", "sess-abcdef123456", "ek_abcdef123456",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "around", ["key {}.", "{}", "a\n{}", "(organization: {})", 'x="{}"', "ü{} ü"]
)
def test_credentials_and_ids_are_removed_and_the_rest_is_kept(secret: str, around: str) -> None:
    error = {"error": {"message": around.format(secret), "code": "c", "param": None, "n": 1.5}}

    for body in (json.dumps(error).encode(), json.dumps(error, ensure_ascii=False).encode()):
        clean = clean_upstream_error(body)

        assert secret.encode() not in clean
        message = around.format("[removed]")
        assert json.loads(clean)["error"] == {**error["error"], "message": message}


def test_a_secret_behind_escapes_is_removed_too() -> None:
    assert json.loads(clean_json(b'{"m":"\\u0073k-abcdefgh12345678"}')) == {"m": "[removed]"}


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_no_json_is_cleaned_as_text(secret: str) -> None:
    page = f"<html>{secret}</html>\\n{secret} \\u00e4{secret}".encode()

    assert clean_json(page).count(b"[removed]") == 3
    assert secret.encode() not in clean_json(page)


@pytest.mark.parametrize(
    "body", [b'{"error": {"message":  "No such disk-based task-force"}}', b"", b"\xff", b"null"]
)
def test_what_holds_nothing_of_the_kind_stays_byte_for_byte(body: bytes) -> None:
    assert clean_json(body) == body


CREDENTIAL = "token-of-no-known-form-1234"


def test_the_upstreams_own_credential_is_taken_out_whatever_it_looks_like() -> None:
    """Section 10: providers that are compatible give out credentials of any form, and some echo them."""
    echoed = json.dumps({"error": {"message": f"Bearer {CREDENTIAL}", CREDENTIAL: [CREDENTIAL]}})
    page = f"<p>{CREDENTIAL}</p>".encode()

    assert CREDENTIAL.encode() not in clean_upstream_error(echoed.encode(), CREDENTIAL)
    assert clean_upstream_error(page, CREDENTIAL) == b"<p>[removed]</p>"


def test_a_credential_that_is_a_common_word_stays() -> None:
    body = b'{"error": {"message": "none of this"}}'

    assert clean_upstream_error(body, "none") == body


@pytest.mark.parametrize(
    "hidden", ["gsk_****QWER", "xai-****QWER", "abcd****************wxyz", "****wxyz"]
)
def test_what_is_half_hidden_is_hidden(hidden: str) -> None:
    told = json.loads(clean_json(json.dumps({"m": f"key {hidden} is wrong"}).encode()))

    assert told == {"m": "key [removed] is wrong"}
