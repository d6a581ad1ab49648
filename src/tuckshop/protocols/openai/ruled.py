"""
A group's rules held against a body, and the body as it is then sent.

Every string is looked at, the names in objects too, and the parts of one content once more as the one text that they
are to the model. Left out is only what is not sent on, and images. What comes out is what is priced and sent (M12).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tuckshop.domain.errors import (
    ParameterNotAllowedError,
    SystemMessageNotAllowedError,
)
from tuckshop.domain.rules.personal_data import Found
from tuckshop.domain.rules.rule_book import Look, RuleBook
from tuckshop.domain.rules.rules import Finding, SystemPrompt
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import Tree
from tuckshop.protocols.openai.api_words import API_WORDS
from tuckshop.protocols.openai.values import is_token

FINDINGS_MAX: Final = 32  # that are written down of one body
TURNS_MAX: Final = 8  # that a text is redacted in; what then is left is blocked
_OWN_ROLE: Final = "user"
# Roles that a client may speak in where the group alone sets the stage. Whatever else a server may know is not these.
_ROLES: Final = frozenset({"assistant", "function", "tool", "user"})
# What the holder says without a role.
_SAID: Final = frozenset({"input", "prompt", "suffix"})
_NOT_SENT: Final = frozenset({"safety_identifier", "user"})  # replaced, whatever they say
_IMAGE: Final = re.compile(r"data:image/[a-z0-9.+-]{1,32};base64,[0-9A-Za-z+/]*+={0,2}", re.I)
_IMAGE_FIELDS: Final = frozenset({"image_url", "url"})
_TALKS: Final = frozenset({"chat.completions", "responses", "responses.input_tokens"})


class Ruled(NamedTuple):
    """A body after the rules were held against it."""

    tree: Tree  # as it is to be sent
    findings: tuple[Finding, ...]  # if one is blocked, it is the last, and the body may not be sent
    is_changed: bool


def ruled(endpoint: Endpoint, tree: Tree, book: RuleBook) -> Ruled:
    """
    Hold *book* against a body that `facts.understand` let through. Its texts are redacted in place.

    Raises:
        ParameterNotAllowedError: A tool is offered that may not be, or a text is written in numbers.
        SystemMessageNotAllowedError: The client has instructions of its own, where the group's are enforced.
    """
    rules = book.rules
    if rules.tools is not None:
        _check_tools(tree, book)
    if rules.system_prompt is not None and rules.system_prompt.mode == "enforce":
        _check_system_messages(tree)
    findings: tuple[Finding, ...] = ()
    is_changed = False
    if rules.reads_texts:
        reader = _Texts(book, tree)
        reader.read(endpoint)
        findings, is_changed = reader.findings, reader.is_changed
    if rules.system_prompt is not None and takes_system_prompt(endpoint):
        tree = with_system_prompt(endpoint, tree, rules.system_prompt)
        is_changed = True
    return Ruled(tree, findings, is_changed)


def takes_system_prompt(endpoint: Endpoint) -> bool:
    """Has a system prompt a place at this endpoint?"""
    return endpoint.name in _TALKS


def with_system_prompt(endpoint: Endpoint, tree: Tree, prompt: SystemPrompt) -> Tree:
    """*tree* with the group's words before all others."""
    if endpoint.name == "chat.completions":
        first = {"role": "system", "content": prompt.text}
        return {**tree, "messages": [first, *tree["messages"]]}
    own = tree.get("instructions")
    return {**tree, "instructions": f"{prompt.text}\n\n{own}" if own else prompt.text}


def _check_system_messages(tree: Mapping[str, Any]) -> None:
    if tree.get("instructions"):
        raise SystemMessageNotAllowedError("instructions")
    for name in ("messages", "input"):
        entries = tree.get(name)
        for place, entry in enumerate(entries if isinstance(entries, list) else ()):
            role = entry.get("role", _OWN_ROLE) if isinstance(entry, dict) else _OWN_ROLE
            if not isinstance(role, str) or role not in _ROLES:
                raise SystemMessageNotAllowedError(f"{name}[{place}].role")


def _check_tools(tree: Mapping[str, Any], book: RuleBook) -> None:
    for path, tool in _tools(tree):
        inner = (part.get("name") for part in tool.values() if isinstance(part, dict))
        # Whichever of them a server reads.
        names = [name for name in (tool.get("name"), *inner) if name is not None]
        if not names or not all(map(book.may_offer, names)):
            offered = book.rules.tools
            allowed = f"only {', '.join(offered[:8])}" if offered else "none"
            raise ParameterNotAllowedError(path, f"of tools, your group offers {allowed}")


def _tools(tree: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tool that is offered, wherever tools stand, and where."""
    for name in ("tools", "functions"):
        yield from _objects(tree.get(name), name)
    items = tree.get("input")
    for place, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            yield from _objects(item.get("tools"), f"input[{place}].tools")


def _objects(entries: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield f"{path}[{place}]", entry


class _Blocked(Exception):  # noqa: N818 - it ends a walk, nothing went wrong
    """A text that may not be sent: nothing more need be looked at."""


class _Texts:
    """Looks at every text of a body, and replaces in place what is to be redacted."""

    def __init__(self, book: RuleBook, tree: Tree) -> None:
        self._book = book
        self._tree = tree
        self._found: dict[bytes, Finding] = {}
        self._last: Finding | None = None
        self.is_changed = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found; one that is blocked comes last."""
        found = tuple(self._found.values())
        return found if self._last is None else (*found, self._last)

    def read(self, endpoint: Endpoint) -> None:
        """Look at all of it, until something may not be sent."""
        skipped = _NOT_SENT | endpoint.dropped | {"model"}
        try:
            for name in [name for name in self._tree if name not in skipped]:
                self._name(name, "")
                value = self._tree[name]
                if isinstance(value, list):
                    self._refuse_tokens(name, value)
                    is_talk = name in ("messages", "input") and endpoint.name in _TALKS
                    listed = name if name in endpoint.parameters else ""
                    for place in range(len(value)):
                        is_own = name in _SAID and endpoint.name == "completions"
                        if is_talk and isinstance(value[place], dict):
                            is_own = value[place].get("role") == _OWN_ROLE
                        self._at(
                            value, place, f"{listed}[{place}]" if listed else "", is_own=is_own
                        )
                else:
                    is_own = name in _SAID and (endpoint.generates or endpoint.name in _TALKS)
                    param = name if name in endpoint.parameters else ""
                    self._at(self._tree, name, param, is_own=is_own)
        except _Blocked:
            return

    def _refuse_tokens(self, name: str, entries: list[Any]) -> None:
        if name in _SAID and any(
            is_token(entry) or (isinstance(entry, list) and any(map(is_token, entry)))
            for entry in entries
        ):
            raise ParameterNotAllowedError(
                name, "numbers of tokens cannot be held against the rules of your group: send text"
            )

    def _at(self, parent: Any, key: Any, param: str, *, is_own: bool) -> None:
        """What stands at *key* of *parent*, and all below it."""
        waiting: list[tuple[Any, Any]] = [(parent, key)]
        parts: list[list[Any]] = []
        while waiting:
            parent, key = waiting.pop()
            node = parent[key]
            if isinstance(node, str):
                if key in _IMAGE_FIELDS and _IMAGE.fullmatch(node):
                    continue
                parent[key] = self._text(node, param, is_own=is_own)
            elif isinstance(node, dict):
                for name in node:
                    self._name(name, param)
                waiting += ((node, name) for name in node)
            elif isinstance(node, list):
                waiting += ((node, place) for place in range(len(node)))
                if sum(isinstance(part, dict) and "text" in part for part in node) > 1:
                    parts.append(node)
        for node in parts:
            self._joined(node, param, is_own=is_own)

    def _text(self, text: str, param: str, *, is_own: bool) -> str:
        if text in API_WORDS:
            return text
        for turn in range(TURNS_MAX):
            look = self._book.look_at(text)
            if not look.reasons and not look.found:
                return text
            may_redact = turn + 1 < TURNS_MAX
            self._note(
                self._book.finding(text, look, is_own=is_own, param=param, may_redact=may_redact)
            )
            redacted = self._book.redacted(text, look.found)
            if redacted == text:
                return text
            # What stood behind it may have been no word of its own before: looked at once more.
            self.is_changed, text = True, redacted
        raise AssertionError("the last turn redacts nothing")

    def _name(self, name: str, param: str) -> None:
        """A name in an object: two could become one, so none is redacted."""
        if name in API_WORDS:
            return
        look = self._book.look_at(name)
        if look.reasons or look.found:
            self._note(self._book.finding(name, look, is_own=False, param=param, may_redact=False))

    def _joined(self, parts: list[Any], param: str, *, is_own: bool) -> None:
        """The parts of one content, as one text: what stands across their seams is blocked, or noted."""
        texts = [
            part["text"]
            for part in parts
            if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        text = "".join(texts)
        look = self._book.look_at(text)
        across = [one for one in look.found if _is_across(one, texts)]
        if look.reasons or across:  # denied words within a part were found there, and ended this
            self._note(
                self._book.finding(
                    text, Look(look.reasons, across), is_own=is_own, param=param, may_redact=False
                )
            )

    def _note(self, finding: Finding) -> None:
        if finding.action == "blocked":
            self._last = finding
            raise _Blocked
        if len(self._found) < FINDINGS_MAX:
            known = self._found.get(finding.digest)
            if known is None or finding.is_own:
                self._found[finding.digest] = finding


def _is_across(found: Found, texts: list[str]) -> bool:
    """Does a seam between *texts* lie within it?"""
    seam = 0
    for text in texts:
        seam += len(text)
        if found.start < seam < found.end:
            return True
        if seam >= found.end:
            return False
    return False
