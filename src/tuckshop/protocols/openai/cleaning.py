"""Texts of the upstream without what tells about the account: credentials, organisation and project ids."""

from __future__ import annotations

import re
from typing import Any, Final

from tuckshop.domain.errors import InvalidRequestBodyError
from tuckshop.protocols.json_body import dump, parse

# `sk-…` keys of all kinds (also half hidden by asterisks), browser and session secrets, ids of the account.
_SECRETS: Final = r"(?:(?:(?:g|c)?sk|rk|pk|ek|sess)[-_]|org-|proj_)[A-Za-z0-9*_-]{6,}"
# Whatever else is half hidden was a secret. One place to begin per word, so that the time is linear.
_HIDDEN: Final = r"(?<![A-Za-z0-9*_-])[A-Za-z0-9_-]{0,256}\*{3,}[A-Za-z0-9*_-]+"
_IN_TEXT: Final = re.compile(rf"(?<![A-Za-z0-9]){_SECRETS}|{_HIDDEN}")
# In JSON that was not parsed a word may begin behind an escape such as `\n`.
_IN_BYTES: Final = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{{4}})){_SECRETS}".encode()
)
_REMOVED: Final = "[removed]"
_SECRET_MIN_CHARS: Final = (
    8  # a shorter one (`EMPTY`, `none`) is no secret, and a word that texts may hold
)


def clean_json(body: bytes, credential: str = "") -> bytes:
    """
    *body* itself where it holds nothing of the kind; else with all of it replaced.

    Args:
        credential: That of the upstream, whatever it looks like.
    """
    if len(credential) < _SECRET_MIN_CHARS:
        credential = ""
    try:
        tree = parse(body)
    except InvalidRequestBodyError:
        if credential:
            body = body.replace(credential.encode(), _REMOVED.encode())
        return _IN_BYTES.sub(_REMOVED.encode(), body)
    clean = _cleaned(tree, credential)
    return body if clean == tree else dump(clean)


def _cleaned(node: Any, credential: str) -> Any:
    if isinstance(node, str):
        if credential and credential in node:
            node = node.replace(credential, _REMOVED)
        return _IN_TEXT.sub(_REMOVED, node)
    if isinstance(node, dict):
        return {
            _cleaned(name, credential): _cleaned(value, credential) for name, value in node.items()
        }
    if isinstance(node, list):
        return [_cleaned(value, credential) for value in node]
    return node
