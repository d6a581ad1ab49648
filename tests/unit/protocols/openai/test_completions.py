"""What a body of the older Completions API asks for: each prompt by itself, as often as the most that is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.table import route

COMPLETIONS = route("POST", "/v1/completions")


def complete(**fields: Any) -> BodyFacts:
    return understand(COMPLETIONS, {"model": "babbage-002", **fields}, pass_unknown=False)


def test_a_plain_call_means_sixteen_tokens() -> None:
    assert complete(prompt="Hi") == BodyFacts(
        model="babbage-002", cap_wanted=16, text_bytes=2, messages=1
    )


@pytest.mark.parametrize(
    ("prompt", "prompts", "text_bytes", "token_ids"),
    [
        ("abc", 1, 3, 0), (["abc", "d"], 2, 4, 0), ([1, 2, 3], 1, 0, 3), ([[1, 2], [3]], 2, 0, 3), (None, 1, 0, 0),
        ("", 1, 0, 0),
    ],
)  # fmt: skip
def test_every_form_of_prompt_is_counted(
    prompt: Any, prompts: int, text_bytes: int, token_ids: int
) -> None:
    facts = complete(prompt=prompt)

    assert (facts.prompts, facts.text_bytes, facts.token_ids) == (prompts, text_bytes, token_ids)
    assert facts.messages == facts.choices == prompts


@pytest.mark.parametrize(
    ("n", "best_of", "each"), [(None, None, 1), (3, None, 3), (None, 5, 5), (2, 5, 5), (1, 0, 1)]
)
def test_answers_are_the_most_that_is_asked_for_each_prompt(
    n: int | None, best_of: int | None, each: int
) -> None:
    assert complete(prompt=["a", "b", "c"], n=n, best_of=best_of).choices == 3 * each


def test_the_suffix_goes_with_each_prompt() -> None:
    assert complete(prompt=["a", "b"], suffix="xyz").text_bytes == 2 + 2 * 3


def test_no_output_may_be_asked_for() -> None:
    facts = complete(prompt="a", max_tokens=0, echo=True)

    assert (facts.cap_wanted, facts.cap_fields) == (0, ("max_tokens",))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", 7), ("prompt", []), ("prompt", ["a", 1]), ("prompt", [[1], "a"]), ("prompt", [-1]),
        ("prompt", ["a"] * 2049), ("n", 0), ("n", 129), ("best_of", 21), ("best_of", True), ("max_tokens", -1),
        ("max_tokens", 1.5), ("echo", "yes"), ("suffix", 1), ("stream", 1),
    ],
)  # fmt: skip
def test_a_wrong_type_where_money_depends_on_it_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        complete(**{"prompt": "a", field: value})

    assert caught.value.param == field


def test_what_nobody_knows_is_refused_or_counts_for_each_prompt() -> None:
    with pytest.raises(ParameterNotAllowedError):
        complete(prompt="a", guided_json={})

    body = {"model": "m", "prompt": ["a", "b"], "extra": "xyz"}
    assert understand(COMPLETIONS, body, pass_unknown=True).text_bytes == 2 + 2 * 8
