"""Numbers of tokens are read as the text that the call's model makes of them (section 12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from tests.unit.gateway.relay_kit import Counter
from tests.unit.gateway.test_dispatch import FakePool, upstream
from tuckshop.gateway.moderation.reading import ContentsReader
from tuckshop.gateway.moderation.service import NoVerdictError
from tuckshop.protocols.openai.contents import Contents
from tuckshop.protocols.openai.table import route
from tuckshop.tokenizing.counter import DECODED_MAX

EMBEDDINGS = route("POST", "/v1/embeddings")


class Vocabulary:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_gone = False

    async def decode(
        self, encoding: str, tokens: Sequence[Sequence[int]], *, asker: str
    ) -> list[str | None] | None:
        self.asked.append(encoding)
        if self.is_gone:
            return None
        return [" ".join(map(str, some)) for some in tokens]


def read(
    vocabulary: Vocabulary, ids: list[int], *, model: str, profile: Any = "openai"
) -> Contents:
    call = Counter().relay.call
    assert call.price is not None
    call = msgspec.structs.replace(
        call, endpoint=EMBEDDINGS, price=msgspec.structs.replace(call.price, model=model, base=None)
    )
    reader = ContentsReader(cast("Any", None), cast("Any", vocabulary))
    body = json.dumps({"model": model, "input": ids}).encode()
    return asyncio.run(reader.read(call, upstream(FakePool(), profile=profile), body))


def test_tokens_are_read_with_the_vocabulary_of_the_model() -> None:
    vocabulary = Vocabulary()

    contents = read(vocabulary, [1, 2], model="text-embedding-3-small")

    assert vocabulary.asked == ["cl100k_base"]
    assert [leaf.text for leaf in contents.leaves] == ["1 2"]
    assert (contents.unreadable, contents.tokens) == ((), ())


@pytest.mark.parametrize(
    ("model", "profile", "ids"),
    [
        ("somebodys-own", "openai", [1]),
        ("gpt-5.6", "openai", [1]),  # its vocabulary is likely, and not published
        ("text-embedding-3-small", "compatible", [1]),
        ("text-embedding-3-small", "openai", [1] * (DECODED_MAX + 1)),
    ],
)
def test_where_nobody_knows_what_they_say_they_cannot_be_read(
    model: str, profile: str, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuckshop.gateway.moderation.reading.is_large", lambda body: False)
    vocabulary = Vocabulary()

    contents = read(vocabulary, ids, model=model, profile=profile)

    assert contents.unreadable == ("input",)
    assert (contents.leaves, vocabulary.asked) == ((), [])


def test_a_vocabulary_that_cannot_be_had_in_time_is_no_verdict() -> None:
    vocabulary = Vocabulary()
    vocabulary.is_gone = True

    with pytest.raises(NoVerdictError):
        read(vocabulary, [1], model="text-embedding-3-small")
