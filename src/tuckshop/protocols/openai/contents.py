"""
All that a body says, for a check of it before it is sent: every text leaf, wherever it stands, and every picture.

Read from the very bytes that go to the upstream (M12). A leaf is a string, or a name in an object: whoever writes a
tool may write into the names of its parameters, and the model reads them. Left out are only the words of the API itself
(`role`, `user`, `text` …), which say nothing, and what this server writes into every body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.api_words import API_WORDS
from tuckshop.protocols.openai.values import is_token

PATH_MAX: Final = 200  # characters of where a content stands: names in it may be long

# Where holders say something themselves; in messages and items it is told by their role.
_SPOKEN: Final = frozenset({"input", "prompt", "suffix"})
_OWN_ROLE: Final = "user"
# What is set here in every body: the resolved model, and the pseudonym.
_OURS: Final = frozenset({"model", "safety_identifier", "user"})
# Types of objects in which holders say something themselves; None: it has no type.
_SAID: Final = frozenset({None, "image_url", "input_image", "input_text", "message", "text"})
_PICTURED: Final = frozenset({"image_url", "input_image"})  # types of parts
_UNREADABLE: Final = frozenset({"file", "input_audio", "input_file"})  # the same
_DATA_URL: Final = re.compile(r"data:image/", re.IGNORECASE)


class Leaf(NamedTuple):
    """A text of the body."""

    text: str
    path: str  # where it stands; "" of several together
    is_own: bool  # the holder says it, in a role of their own


class Picture(NamedTuple):
    """An image of the body, as the data URL that it is."""

    url: str
    path: str
    is_own: bool


class Tokens(NamedTuple):
    """A text of the body that is written in the numbers of its tokens."""

    ids: tuple[int, ...]
    path: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """All that a body says."""

    leaves: tuple[Leaf, ...]  # equal ones once
    pictures: tuple[Picture, ...] = ()
    tokens: tuple[Tokens, ...] = ()
    unreadable: tuple[str, ...] = ()  # paths of what cannot be read here
    joined: Leaf | None = None  # all leaves together, where there are several


def contents_of(
    endpoint: Endpoint, body: bytes, *, profile: Literal["openai", "compatible"]
) -> Contents:
    """
    What *body* says, which is about to be sent.

    Args:
        profile: Of the upstream. What `openai` has sealed (`encrypted_content` of reasoning) nobody else can have
            written, so it is passed over among the items of a response; anywhere else, and to any other server, it is
            a text.
    """
    tree: dict[str, Any] = msgspec.json.decode(body)
    items = tree.get("input") if endpoint.group == "responses" and profile == "openai" else None
    reader = _Reader(endpoint, items=items if isinstance(items, list) else [])
    for name, value in tree.items():
        if name in _OURS:
            continue
        reader.read_name(name, "")
        reader.read(value, name, is_own=name in _SPOKEN)
    return reader.contents()


class _Reader:
    def __init__(self, endpoint: Endpoint, *, items: list[Any]) -> None:
        self._takes_tokens = endpoint.name in ("completions", "embeddings")
        self._items = frozenset(map(id, items))  # those that may be sealed
        self._leaves: dict[str, Leaf] = {}
        self._joined: list[str] = []
        self._all_own = True
        self._glues = False  # the next text goes on where the last one ended
        self._pictures: dict[str, Picture] = {}
        self._tokens: list[Tokens] = []
        self._unreadable: list[str] = []

    def contents(self) -> Contents:
        """All that was read."""
        text = "".join(self._joined)
        joined = None if text in self._leaves or not text else Leaf(text, "", self._all_own)
        return Contents(
            leaves=tuple(self._leaves.values()),
            pictures=tuple(self._pictures.values()),
            tokens=tuple(self._tokens),
            unreadable=tuple(self._unreadable),
            joined=joined,
        )

    def read(self, node: Any, path: str, *, is_own: bool) -> None:
        """*node* and all below it. *is_own*: the holder says it, unless a role in it says otherwise."""
        if isinstance(node, str):
            self._text(node, path, is_own=is_own)
        elif isinstance(node, dict):
            self._object(node, path, is_own=is_own)
        elif isinstance(node, list):
            self._list(node, path, is_own=is_own)

    def read_name(self, name: str, path: str) -> None:
        """A name in an object."""
        self._text(name, f"{path}.{name}" if path else name, is_own=False)

    def _text(self, text: str, path: str, *, is_own: bool) -> None:
        if text in API_WORDS or not text or text.isspace():
            return
        known = self._leaves.get(text)
        if known is None or (is_own and not known.is_own):
            self._leaves[text] = Leaf(text, path[:PATH_MAX], is_own)
        self._all_own = self._all_own and is_own
        if self._joined and not self._glues:
            self._joined.append("\n")
        self._joined.append(text)
        self._glues = False

    def _list(self, node: list[Any], path: str, *, is_own: bool) -> None:
        if self._takes_tokens and node and all(map(is_token, node)):
            self._tokens.append(Tokens(tuple(node), path[:PATH_MAX]))
            return
        for index, entry in enumerate(node):
            # The parts of one content may be one text to the model, cut anywhere.
            self._glues = index > 0 and isinstance(entry, dict) and "text" in entry
            self.read(entry, f"{path}[{index}]", is_own=is_own)
        self._glues = False

    def _object(self, node: Mapping[str, Any], path: str, *, is_own: bool) -> None:
        role = node.get("role")
        if isinstance(role, str):
            is_own = role == _OWN_ROLE
        kind = node.get("type")
        if kind in _UNREADABLE:
            self._unreadable.append(path[:PATH_MAX])
        for name, value in node.items():
            if name == "type" and isinstance(value, str) and value in API_WORDS:
                continue
            if name == "encrypted_content" and kind == "reasoning" and id(node) in self._items:
                continue
            below = f"{path}.{name}"
            if name == "image_url" and kind in _PICTURED and self._picture(value, below, is_own):
                continue
            self.read_name(name, path)
            self.read(value, below, is_own=is_own and kind in _SAID)

    def _picture(self, value: Any, path: str, is_own: bool) -> bool:
        url = value.get("url") if isinstance(value, dict) else value
        if not isinstance(url, str):
            return False
        if isinstance(value, dict):
            path = f"{path}.url"
            self.read({n: v for n, v in value.items() if n != "url"}, path, is_own=is_own)
        if _DATA_URL.match(url):
            self._pictures.setdefault(url, Picture(url, path[:PATH_MAX], is_own))
        else:
            self._unreadable.append(path[:PATH_MAX])
        return True


def with_decoded(contents: Contents, texts: Sequence[str | None]) -> Contents:
    """
    *contents* with the text of each of its `tokens` in their place.

    Args:
        texts: In the order of the tokens; None: what these say cannot be told.
    """
    leaves = {leaf.text: leaf for leaf in contents.leaves}
    unreadable = list(contents.unreadable)
    said: list[str] = []  # holders say it themselves, and it is no word of the API
    for tokens, text in zip(contents.tokens, texts, strict=True):
        if text is None:
            unreadable.append(tokens.path)
        elif text and not text.isspace():
            leaves[text] = Leaf(text, tokens.path, is_own=True)
            said.append(text)
    # The model reads what follows the prompt (`suffix`) after it.
    rest = contents.joined or next(iter(contents.leaves), None)
    together = "\n".join([*said, *([rest.text] if rest else [])])
    is_own = rest is None or rest.is_own
    return Contents(
        leaves=tuple(leaves.values()),
        pictures=contents.pictures,
        unreadable=tuple(unreadable),
        joined=None if together in leaves or not together else Leaf(together, "", is_own),
    )


def pieces_of(text: str, *, most: int, overlap: int) -> Iterator[str]:
    """
    *text* in pieces of at most *most* characters, each with the last *overlap* of the one before.

    Whatever is no longer than the overlap stands whole in one of them. They are counted from the beginning, so that a
    text that grows keeps its first pieces.
    """
    assert 0 <= overlap < most
    start = 0
    while True:
        yield text[start : start + most]
        if start + most >= len(text):
            return
        start += most - overlap
