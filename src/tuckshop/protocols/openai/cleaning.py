"""Texts of the upstream without what tells about the account: credentials, organisation and project ids."""

from __future__ import annotations

import re
from typing import Any, Final

from tuckshop.domain.errors import InvalidRequestBodyError
from tuckshop.protocols.json_body import dump, parse

# `sk-…` keys of all kinds (also half hidden by asterisks), browser and session secrets, ids of the account.
_SECRETS: Final = r"(?:(?:sk|rk|pk|ek|sess)[-_]|org-|proj_)[A-Za-z0-9*_-]{6,}"
_IN_TEXT: Final = re.compile(rf"(?<![A-Za-z0-9]){_SECRETS}")
# In JSON that was not parsed a word may begin behind an escape such as `\n`.
_IN_BYTES: Final = re.compile(
    rf"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{{4}})){_SECRETS}".encode()
)
_REMOVED: Final = "[removed]"


def clean_json(body: bytes) -> bytes:
    """*body* itself where it holds nothing of the kind; else with all of it replaced."""
    try:
        tree = parse(body)
    except InvalidRequestBodyError:
        return _IN_BYTES.sub(_REMOVED.encode(), body)
    clean = _cleaned(tree)
    return body if clean == tree else dump(clean)


def _cleaned(node: Any) -> Any:
    if isinstance(node, str):
        return _IN_TEXT.sub(_REMOVED, node)
    if isinstance(node, dict):
        return {_IN_TEXT.sub(_REMOVED, name): _cleaned(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_cleaned(value) for value in node]
    return node
