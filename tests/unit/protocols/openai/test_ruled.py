"""A group's rules against bodies: every text is looked at, and what is sent is what was looked at (M12)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.errors import ParameterNotAllowedError, SystemMessageNotAllowedError
from tuckshop.domain.rules.rule_book import RuleBook
from tuckshop.domain.rules.rules import PII_KINDS, Rules, SystemPrompt
from tuckshop.protocols import json_body
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.outgoing import Rewriting, rewrite
from tuckshop.protocols.openai.ruled import FINDINGS_MAX, Ruled, ruled
from tuckshop.protocols.openai.table import route

CHAT, RESPONSES = route("POST", "/v1/chat/completions"), route("POST", "/v1/responses")
COMPLETIONS, EMBEDDINGS = route("POST", "/v1/completions"), route("POST", "/v1/embeddings")
MODERATIONS = route("POST", "/v1/moderations")
MAIL, CARD, IBAN = "ada@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"
REDACT = RuleBook(Rules(pii=dict.fromkeys(PII_KINDS, "redact")))
DENY = RuleBook(Rules(deny_words=("canary", "two words"), deny_patterns=("c[0-9]+c",)))


def user(content: Any, role: str = "user") -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": role, "content": content}]}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


# Each says CANARY somewhere, in a body that is understood: (endpoint, body, whether the member says it).
EVERYWHERE: list[tuple[Any, dict[str, Any], bool]] = [
    (CHAT, user("a canary"), True),
    (CHAT, user("a canary", "system"), False),
    (CHAT, user("a canary", "assistant"), False),
    (CHAT, user([text_part("x"), text_part("a canary")]), True),
    (CHAT, user([text_part("a can"), text_part("ary")]), True),
    (CHAT, user([text_part("two"), text_part(" words")]), True),
    (CHAT, {**user("x"), "messages": [{"role": "user", "content": "x", "name": "canary"}]}, True),
    (CHAT, user("c123c"), True),
    (CHAT, {**user("x"), "stop": ["canary"]}, False),
    (CHAT, {**user("x"), "metadata": {"a": "canary"}}, False),
    (CHAT, {**user("x"), "metadata": {"canary": "a"}}, False),
    (CHAT, {**user("x"), "canary": 1}, False),
    (CHAT, {**user("x"), "documents": [["a canary"]]}, False),
    (CHAT, {**user("x"), "prompt_cache_key": "canary"}, False),
    (
        CHAT,
        {
            **user("x"),
            "tools": [{"type": "function", "function": {"name": "f", "description": "a canary"}}],
        },
        False,
    ),
    (
        CHAT,
        {
            **user("x"),
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"properties": {"canary": {}}}},
                }
            ],
        },
        False,
    ),
    (
        CHAT,
        {
            **user("x"),
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": '{"a":"canary"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "x"},
            ],
        },
        False,
    ),
    (
        CHAT,
        user([{"type": "image_url", "image_url": {"url": "https://example.org/?q=canary"}}]),
        True,
    ),
    (RESPONSES, {"model": "gpt-4o-mini", "input": "a canary"}, True),
    (RESPONSES, {"model": "gpt-4o-mini", "input": "x", "instructions": "a canary"}, False),
    (RESPONSES, {"model": "gpt-4o-mini", "input": [{"role": "user", "content": "canary"}]}, True),
    (
        RESPONSES,
        {
            "model": "gpt-4o-mini",
            "input": [{"type": "function_call_output", "call_id": "1", "output": "canary"}],
        },
        False,
    ),
    (COMPLETIONS, {"model": "gpt-3.5-turbo-instruct", "prompt": ["x", "canary"]}, True),
    (COMPLETIONS, {"model": "gpt-3.5-turbo-instruct", "prompt": "x", "suffix": "canary"}, True),
    (EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["x", "canary"]}, False),
    (MODERATIONS, {"input": [text_part("canary")]}, False),
]


@pytest.mark.parametrize(("endpoint", "body", "is_own"), EVERYWHERE)
def test_every_text_is_looked_at_wherever_it_stands(
    endpoint: Any, body: dict[str, Any], is_own: bool
) -> None:
    understand(endpoint, body, pass_unknown=True)

    findings = ruled(endpoint, body, DENY).findings

    (finding,) = findings
    assert finding.action == "blocked"
    assert finding.is_own == is_own
    assert "canary" not in finding.param


@pytest.mark.parametrize(
    "body",
    [
        user("x"),
        {**user("x"), "user": "canary"},
        {**user("x"), "safety_identifier": "canary", "client_metadata": {"a": "canary"}},
        user([text_part("canaries"), text_part("are birds")]),
    ],
)
def test_what_is_not_sent_or_only_looks_like_it_is_let_through(body: dict[str, Any]) -> None:
    assert ruled(CHAT, body, DENY).findings == ()


def test_words_of_the_api_itself_are_no_words() -> None:
    book = RuleBook(Rules(deny_words=("user", "text", "function", "messages", "content")))

    assert ruled(CHAT, user([text_part("Hello.")]), book).findings == ()
    assert ruled(CHAT, user("the user said"), book).findings


def sent(after: Ruled, endpoint: Any = CHAT) -> dict[str, Any]:
    """What goes to the upstream, with an identity and without one."""
    facts = understand(endpoint, after.tree, pass_unknown=True)
    how = Rewriting(profile="compatible", model="gpt-4o-mini")
    body = rewrite(endpoint, after.tree, facts, how, is_changed=after.is_changed)
    assert body is not None, "the client's own bytes say something else"
    read: dict[str, Any] = json.loads(body)
    return read


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"write to {MAIL}!", "write to [email]!"),
        (f"{IBAN} or {CARD}", "[iban] or [credit_card]"),
        ("call +49 30 901820, or 030", "call [phone], or 030"),
        ("ada\uff20exa\u00admple.org ﬁn", "[email] ﬁn"),
        ("nothing", "nothing"),
    ],
)
def test_personal_data_is_replaced_in_what_is_sent(text: str, redacted: str) -> None:
    after = ruled(CHAT, user(text), REDACT)

    assert after.is_changed == (text != redacted)
    assert after.tree["messages"][0]["content"] == redacted
    if after.is_changed:
        assert sent(after)["messages"][0]["content"] == redacted
        assert [one.action for one in after.findings] == ["redacted"]


def test_what_only_its_parts_together_hold_is_blocked_since_nothing_can_be_replaced() -> None:
    (finding,) = ruled(
        CHAT, user([text_part("4111 1111 "), text_part("1111 1111")]), REDACT
    ).findings
    assert (finding.action, finding.reasons) == ("blocked", ("pii.credit_card",))

    after = ruled(CHAT, user([text_part(f"to {MAIL}"), text_part("and so on")]), REDACT)
    assert [one.action for one in after.findings] == ["redacted"]


def test_in_a_name_nothing_can_be_replaced() -> None:
    body = {**user("x"), "metadata": {MAIL: "x"}}

    (finding,) = ruled(CHAT, body, REDACT).findings
    assert (finding.action, finding.reasons) == ("blocked", ("pii.email",))


def test_a_flag_lets_it_through_as_it_is() -> None:
    after = ruled(CHAT, user(f"to {MAIL}"), RuleBook(Rules(pii={"email": "flag"})))

    assert not after.is_changed
    assert [(one.action, one.reasons, one.is_own) for one in after.findings] == [
        ("noted", ("pii.email",), True)
    ]


def test_an_image_is_not_read() -> None:
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\xfa\x9e\xb2" * 3_000).decode()
    body = user([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}])

    assert ruled(CHAT, body, RuleBook(Rules(deny_patterns=("[a-z]{2}",)))).findings == ()


def test_what_stands_where_an_image_would_and_is_none_is_read() -> None:
    body = user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,a canary"}}])

    assert ruled(CHAT, body, DENY).findings


@pytest.mark.parametrize("numbers", [[1, 2], [[1, 2], [3]], [1]])
def test_numbers_of_tokens_are_refused_where_texts_are_read(numbers: Any) -> None:
    for endpoint, name in ((EMBEDDINGS, "input"), (COMPLETIONS, "prompt")):
        body = {"model": "gpt-3.5-turbo-instruct", name: numbers}
        with pytest.raises(ParameterNotAllowedError):
            ruled(endpoint, dict(body), DENY)
        assert not ruled(endpoint, body, RuleBook(Rules(max_input_tokens=5))).findings


def test_few_findings_of_many_are_written_down_and_all_are_redacted() -> None:
    texts = [text_part(f"user{n}@example.org") for n in range(100)]

    after = ruled(CHAT, user(texts), REDACT)

    assert len(after.findings) == FINDINGS_MAX
    assert "example" not in json.dumps(after.tree)


@pytest.mark.parametrize("mode", ["prepend", "enforce"])
def test_the_system_prompt_comes_first_and_is_priced(mode: Any) -> None:
    book = RuleBook(Rules(system_prompt=SystemPrompt(text="Teach botany.", mode=mode)))
    before = understand(CHAT, user("Hello."), pass_unknown=False)

    after = ruled(CHAT, user("Hello."), book)

    facts = understand(CHAT, after.tree, pass_unknown=False)
    assert facts.messages == before.messages + 1
    assert facts.text_bytes >= before.text_bytes + len("Teach botany.")
    assert sent(after)["messages"][0] == {"role": "system", "content": "Teach botany."}
    answer = ruled(RESPONSES, {"model": "gpt-4o-mini", "input": "Hello."}, book)
    assert sent(answer, RESPONSES)["instructions"] == "Teach botany."
    assert not ruled(EMBEDDINGS, {"model": "x", "input": "Hello."}, book).is_changed


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        (CHAT, user("x", "system"), "messages[0].role"),
        (CHAT, user("x", "developer"), "messages[0].role"),
        (CHAT, user("x", "SYSTEM "), "messages[0].role"),
        (CHAT, {"model": "m", "messages": [{"role": ["system"], "content": "x"}]}, None),
        (RESPONSES, {"model": "m", "input": "x", "instructions": "y"}, "instructions"),
        (RESPONSES, {"model": "m", "input": [{"role": "system", "content": "x"}]}, "input[0].role"),
    ],
)
def test_where_it_is_enforced_no_other_instructions_come_through(
    endpoint: Any, body: dict[str, Any], param: str | None
) -> None:
    book = RuleBook(Rules(system_prompt=SystemPrompt(text="Teach.", mode="enforce")))

    with pytest.raises(SystemMessageNotAllowedError) as caught:
        ruled(endpoint, body, book)
    assert param is None or caught.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "send"}}]}, "tools[0]"),
        ({"tools": [{"type": "custom", "custom": {"name": "send"}}]}, "tools[0]"),
        (
            {"tools": [{"type": "function", "function": {"name": "look_up"}, "name": "send"}]},
            "tools[0]",
        ),
        ({"tools": [{"type": "function", "name": "look_up", "x": {"name": "send"}}]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"functions": [{"name": "look_up"}, {"name": "send"}]}, "functions[1]"),
        (
            {"input": [{"type": "additional_tools", "tools": [{"name": "send"}]}]},
            "input[0].tools[0]",
        ),
    ],
)
def test_a_tool_is_offered_by_a_name_that_is_allowed_or_not_at_all(
    body: dict[str, Any], param: str
) -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        ruled(CHAT, body, RuleBook(Rules(tools=("look_*",))))

    assert caught.value.param == param
    with pytest.raises(ParameterNotAllowedError):
        ruled(CHAT, body, RuleBook(Rules(tools=())))
    assert ruled(CHAT, body, RuleBook(Rules())).findings == ()


_PIECES = ["a", " ", MAIL, CARD, "+49 30 901820", "\u00ad", "\ufb03", "\uff14", "."]
_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=6).map("".join)
_LEAVES = st.one_of(_TEXTS, st.integers(-9, 9), st.booleans(), st.none())
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_TREES, _TEXTS, st.booleans())
def test_what_is_priced_is_what_is_sent_and_nothing_is_left_to_redact(
    passed: Any, text: str, in_parts: bool
) -> None:
    """M12, P1: whatever stands beside it; looking twice finds nothing more."""
    content = [text_part(text)] if in_parts else text
    tree = json_body.parse(json.dumps({**user(content), "documents": passed}).encode())

    after = ruled(CHAT, tree, REDACT)
    if any(one.action == "blocked" for one in after.findings):
        return

    again = ruled(CHAT, json_body.parse(json_body.dump(after.tree)), REDACT)
    assert again.findings == ()
    assert not again.is_changed
    priced = understand(CHAT, after.tree, pass_unknown=True)
    if after.is_changed:
        read = understand(CHAT, {**sent(after), "max_tokens": None}, pass_unknown=True)
        assert read.text_bytes <= priced.text_bytes
