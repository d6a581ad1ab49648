"""An answer of a moderation service that is not exactly one is none (section 10, section 12)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.moderation import CATEGORIES
from tuckshop.protocols.openai.moderations import (
    NoAnswerError,
    ask_about_picture,
    ask_about_texts,
    judged_in,
)


def result(flagged: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "flagged": flagged is not None,
        "categories": {name: name == flagged for name in CATEGORIES},
        "category_scores": {name: 0.9 if name == flagged else 0.1 for name in CATEGORIES},
        "category_applied_input_types": {},
        **more,
    }


def answer(*results: Any) -> bytes:
    return json.dumps({"id": "modr-1", "model": "omni", "results": results}).encode()


def test_an_answer_is_read_in_the_order_of_the_question() -> None:
    harmless, violent = judged_in(answer(result(), result("violence")), count=2)

    assert harmless.flagged == frozenset()
    assert violent.flagged == {"violence"}
    assert violent.scores["violence"] == 0.9


def test_a_category_that_is_new_counts_by_the_services_own_word() -> None:
    one = result(flagged="violence")
    one["categories"]["new/thing"] = True
    one["categories"]["<b>"] = True

    (judged,) = judged_in(answer(one), count=1)

    assert judged.flagged == {"violence", "new/thing"}


def without(name: str, field: str) -> dict[str, Any]:
    one = result()
    del one[field][name]
    return one


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"\xff",
        b'{"results": null}',
        answer(),
        answer(result(), result()),
        answer(without("hate", "categories")),
        answer(without("hate", "category_scores")),
        answer(result(categories=dict.fromkeys(CATEGORIES))),
        answer(result(category_scores=dict.fromkeys(CATEGORIES, float("nan")))),
        answer(result(category_scores=dict.fromkeys(CATEGORIES, float("inf")))),
        answer(result(category_scores=dict.fromkeys(CATEGORIES, 1.01))),
        answer(result(category_scores=dict.fromkeys(CATEGORIES, -0.01))),
        answer(result(category_scores=dict.fromkeys(CATEGORIES, "0.5"))),
        answer(result(flagged="violence") | {"flagged": False}),
        answer(result() | {"flagged": True}),
        answer({"flagged": False}),
    ],
)
def test_what_is_no_answer_is_not_believed(body: bytes) -> None:
    with pytest.raises(NoAnswerError):
        judged_in(body, count=1)


@given(st.binary(max_size=200))
def test_nonsense_never_breaks_anything(body: bytes) -> None:
    with pytest.raises(NoAnswerError):
        judged_in(body, count=1)


def test_questions_name_the_model_and_hold_nothing_else() -> None:
    assert json.loads(ask_about_texts(["a", "b"])) == {
        "model": "omni-moderation-latest",
        "input": ["a", "b"],
    }
    assert json.loads(ask_about_picture("data:image/png;base64,AA"))["input"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    ]
