"""What a call holds at worst: images and prompts by the rules of its model (M1, M9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.pricing.rows import LIST
from tests.unit.protocols.pictures import data_url, jpeg, png
from tuckshop.domain.errors import ParameterNotAllowedError
from tuckshop.domain.policy import Policy
from tuckshop.domain.reservation import CapWish
from tuckshop.gateway.call import FREE, Course, bounded, course_of
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.table import route

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
POLICY = Policy(
    model_lists=(),
    endpoint_lists=(),
    opened_by_name=frozenset(),
    max_output_tokens=None,
    limits=(),
    min_output_tokens=1024,
    patience_s=20,
    on_disconnect="drain",
    unknown_parameters="refuse",
    show_shared=False,
)
WEB = "https://example.org/x.png"


def course(path: str, model: str) -> Course:
    endpoint = route("POST", path)
    return course_of(model, endpoint=endpoint, policy=POLICY, prices=LIST, upstream="openai")


def bound(path: str, **body: Any) -> tuple[int, CapWish]:
    endpoint = route("POST", path)
    facts = understand(endpoint, body, pass_unknown=False)
    price = course(path, body["model"]).price
    return bounded(facts, price, policy=POLICY, endpoint=endpoint)


def image_bound(model: str, *urls: str, detail: str | None = None) -> int:
    """What the images alone add to a chat."""
    parts = [
        {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
        for url in urls
    ]
    plain: Any = [{"role": "user", "content": [{"type": "text", "text": ""} for _ in urls]}]
    shown: Any = [{"role": "user", "content": parts}]
    with_images = bound(CHAT, model=model, messages=shown)[0]
    without = bound(CHAT, model=model, messages=plain)[0]
    return with_images - without - len("image_url" * len(urls)) + len("text" * len(urls))


def test_an_image_is_held_at_the_models_most_unless_its_header_tells_its_pixels() -> None:
    assert image_bound("gpt-4o", WEB) == 1_445
    assert image_bound("gpt-4o", WEB, detail="low") == 85
    assert image_bound("gpt-4o", data_url(png(512, 512))) == 85 + 170 * 4
    assert image_bound("gpt-4o", data_url(png(512, 512), "image/jpeg")) == 1_445  # not what it says
    assert image_bound("gpt-4.1-mini", data_url(jpeg(320, 320), "image/jpeg")) == 162
    assert image_bound("gpt-4o", WEB, WEB) == 2 * 1_445


def test_a_model_that_takes_every_pixel_must_know_how_many_there_are() -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        image_bound("gpt-5.6-sol", WEB)

    assert caught.value.param == "messages[0].content[0].image_url.detail"
    assert image_bound("gpt-5.6-sol", WEB, detail="high") == 3_000
    assert image_bound("gpt-5.6-sol", data_url(png(6_400, 6_400))) == 48_000


@pytest.mark.parametrize("model", ["gpt-3.5-turbo", "o3-mini", "gpt-4"])
def test_a_model_that_takes_no_images_is_refused_by_the_place_of_the_image(model: str) -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        image_bound(model, WEB)

    assert caught.value.param == "messages[0].content[0].image_url.url"


def test_images_in_a_response_are_held_too() -> None:
    part = {"type": "input_image", "image_url": WEB, "detail": "auto"}
    shown = [{"role": "user", "content": [part]}]

    assert bound(RESPONSES, model="gpt-4o-mini", input=shown)[0] > 48_169


def test_a_completion_is_held_for_each_answer_of_each_prompt_up_to_its_window() -> None:
    tokens, cap = bound(COMPLETIONS, model="babbage-002", prompt=["abc", "d"], n=2, best_of=3)

    assert tokens == 64 + 2 * 16 + 4
    assert (cap.wanted, cap.least, cap.choices) == (16, 16, 6)
    many = ["x" * 20_000] * 3
    assert bound(COMPLETIONS, model="babbage-002", prompt=many)[0] == 3 * 16_384


def test_a_call_that_asks_for_no_output_holds_none() -> None:
    cap = bound(COMPLETIONS, model="babbage-002", prompt="abc", max_tokens=0)[1]

    assert (cap.wanted, cap.greatest, cap.least) == (0, 0, 0)


def test_counting_tokens_costs_nothing() -> None:
    path = "/v1/responses/input_tokens"

    tokens, cap = bound(path, model="gpt-4o", input="Hi")

    assert (tokens, cap.greatest) == (0, 0)
    assert course(path, "gpt-4o").terms_for(0) == FREE


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (CHAT, "gpt-5-codex"), (CHAT, "babbage-002"), (COMPLETIONS, "gpt-4o"), (RESPONSES, "babbage-002"),
        (RESPONSES, "text-embedding-3-small"), ("/v1/embeddings", "gpt-4o"),
    ],
)  # fmt: skip
def test_a_model_of_another_endpoint_is_refused(path: str, model: str) -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        course(path, model)

    assert caught.value.param == "model"


def test_chat_models_and_those_made_for_it_answer_responses() -> None:
    for model in ("gpt-4o-mini", "gpt-5-codex", "o1-pro"):
        assert course(RESPONSES, model).price.model == model
