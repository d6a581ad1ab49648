"""Which virtual key a call carries: one credential, in one of the documented places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.keys import PREFIX, is_well_formed

_PLACES: Final = frozenset({b"authorization", b"api-key", b"x-api-key"})


def secret_of(headers: Iterable[tuple[bytes, bytes]], *, foreign: bool = False) -> str:
    """
    The one secret in *headers* (names in lower case), its checksum tested before any look-up (K1).

    Args:
        foreign: Keys of another format have been taken over: what does not claim to be one of ours may be one.
    Raises:
        InvalidApiKeyError: None, a malformed one, or two that differ (E4).
    """
    found: set[bytes] = set()
    for name, value in headers:
        if name not in _PLACES:
            continue
        if name == b"authorization":
            scheme, _, value = value.partition(b" ")
            if scheme.lower() != b"bearer":
                raise InvalidApiKeyError("the Authorization header is not of the form: Bearer KEY")
        found.add(value.strip())
    if not found:
        raise InvalidApiKeyError("there is no key in the Authorization header")
    if len(found) > 1:
        raise InvalidApiKeyError("the headers carry keys that differ")
    secret = found.pop().decode("latin-1")
    if not is_well_formed(secret) and not (
        foreign and secret and secret.isascii() and not secret.startswith(PREFIX)
    ):
        raise InvalidApiKeyError("this is not a key of this server, or it has a typing mistake")
    return secret
