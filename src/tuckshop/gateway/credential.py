"""Which virtual key a call carries: one credential, in one of the documented places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.keys import is_well_formed

_PLACES: Final = frozenset({b"authorization", b"api-key", b"x-api-key"})


def secret_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """
    The one secret in *headers* (names in lower case), its checksum tested before any look-up (K1).

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
    if not is_well_formed(secret):
        raise InvalidApiKeyError("this is not a key of this server, or it has a typing mistake")
    return secret
