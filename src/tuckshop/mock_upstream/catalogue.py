"""The models of the made-up account. Names, windows and snapshots are the real ones' (read 2026-11); no prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from tuckshop.mock_upstream.errors import ApiError, unknown_model

Family = Literal["chat", "responses", "completion", "embedding", "moderation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MockModel:
    """What the provider knows of one of its models."""

    name: str
    answers_as: str  # the snapshot that its replies name
    family: Family
    reasons: bool = False
    caches: bool = False
    counts_cache_writes: bool = False
    context_tokens: int = 128_000
    output_max_tokens: int = 16_384
    dimensions: int = 0  # of an embedding
    shortens: bool = False  # takes `dimensions`

    def to_json(self) -> dict[str, Any]:
        """A row of GET /v1/models."""
        return {
            "id": self.name,
            "object": "model",
            "created": 1_686_935_002,
            "owned_by": "system",
        }


# name: (snapshot its replies name, context window, most output)
_PLAIN: Final[dict[str, tuple[str, int, int]]] = {
    "gpt-3.5-turbo": ("gpt-3.5-turbo-0125", 16_385, 4_096),
    "gpt-3.5-turbo-0125": ("gpt-3.5-turbo-0125", 16_385, 4_096),
    "gpt-3.5-turbo-0301": ("gpt-3.5-turbo-0301", 4_097, 4_096),
    "gpt-3.5-turbo-0613": ("gpt-3.5-turbo-0613", 4_097, 4_096),
    "gpt-3.5-turbo-1106": ("gpt-3.5-turbo-1106", 16_385, 4_096),
    "gpt-3.5-turbo-16k": ("gpt-3.5-turbo-16k-0613", 16_385, 16_384),
    "gpt-3.5-turbo-16k-0613": ("gpt-3.5-turbo-16k-0613", 16_385, 16_384),
    "gpt-4": ("gpt-4-0613", 8_192, 8_192),
    "gpt-4-0314": ("gpt-4-0314", 8_192, 8_192),
    "gpt-4-0613": ("gpt-4-0613", 8_192, 8_192),
    "gpt-4-0125-preview": ("gpt-4-0125-preview", 128_000, 4_096),
    "gpt-4-1106-preview": ("gpt-4-1106-preview", 128_000, 4_096),
    "gpt-4-turbo": ("gpt-4-turbo-2024-04-09", 128_000, 4_096),
    "gpt-4-turbo-2024-04-09": ("gpt-4-turbo-2024-04-09", 128_000, 4_096),
    "gpt-4-turbo-preview": ("gpt-4-0125-preview", 128_000, 4_096),
}
_CACHING: Final[dict[str, tuple[str, int, int]]] = {
    "gpt-4.1": ("gpt-4.1-2025-04-14", 1_047_576, 32_768),
    "gpt-4.1-2025-04-14": ("gpt-4.1-2025-04-14", 1_047_576, 32_768),
    "gpt-4.1-mini": ("gpt-4.1-mini-2025-04-14", 1_047_576, 32_768),
    "gpt-4.1-mini-2025-04-14": ("gpt-4.1-mini-2025-04-14", 1_047_576, 32_768),
    "gpt-4.1-nano": ("gpt-4.1-nano-2025-04-14", 1_047_576, 32_768),
    "gpt-4.1-nano-2025-04-14": ("gpt-4.1-nano-2025-04-14", 1_047_576, 32_768),
    "gpt-4o": ("gpt-4o-2024-08-06", 128_000, 16_384),
    "gpt-4o-2024-05-13": ("gpt-4o-2024-05-13", 128_000, 4_096),
    "gpt-4o-2024-08-06": ("gpt-4o-2024-08-06", 128_000, 16_384),
    "gpt-4o-2024-11-20": ("gpt-4o-2024-11-20", 128_000, 16_384),
    "gpt-4o-mini": ("gpt-4o-mini-2024-07-18", 128_000, 16_384),
    "gpt-4o-mini-2024-07-18": ("gpt-4o-mini-2024-07-18", 128_000, 16_384),
    "gpt-5-chat": ("gpt-5-chat-latest", 128_000, 16_384),
    "gpt-5-chat-latest": ("gpt-5-chat-latest", 128_000, 16_384),
}
_REASONING: Final[dict[str, tuple[str, int, int]]] = {
    "o1": ("o1-2024-12-17", 200_000, 100_000),
    "o1-2024-12-17": ("o1-2024-12-17", 200_000, 100_000),
    "o3": ("o3-2025-04-16", 200_000, 100_000),
    "o3-2025-04-16": ("o3-2025-04-16", 200_000, 100_000),
    "o3-mini": ("o3-mini-2025-01-31", 200_000, 100_000),
    "o3-mini-2025-01-31": ("o3-mini-2025-01-31", 200_000, 100_000),
    "o4-mini": ("o4-mini-2025-04-16", 200_000, 100_000),
    "o4-mini-2025-04-16": ("o4-mini-2025-04-16", 200_000, 100_000),
    "gpt-5": ("gpt-5-2025-08-07", 400_000, 128_000),
    "gpt-5-2025-08-07": ("gpt-5-2025-08-07", 400_000, 128_000),
    "gpt-5-mini": ("gpt-5-mini-2025-08-07", 400_000, 128_000),
    "gpt-5-mini-2025-08-07": ("gpt-5-mini-2025-08-07", 400_000, 128_000),
    "gpt-5-nano": ("gpt-5-nano-2025-08-07", 400_000, 128_000),
    "gpt-5-nano-2025-08-07": ("gpt-5-nano-2025-08-07", 400_000, 128_000),
    "gpt-5.1": ("gpt-5.1-2025-11-13", 400_000, 128_000),
    "gpt-5.1-2025-11-13": ("gpt-5.1-2025-11-13", 400_000, 128_000),
    "gpt-5.1-chat-latest": ("gpt-5.1-chat-latest", 128_000, 16_384),
    "gpt-5.2": ("gpt-5.2-2025-12-11", 400_000, 128_000),
    "gpt-5.2-2025-12-11": ("gpt-5.2-2025-12-11", 400_000, 128_000),
    "gpt-5.2-chat-latest": ("gpt-5.2-chat-latest", 128_000, 16_384),
    "gpt-5.3-chat-latest": ("gpt-5.3-chat-latest", 128_000, 16_384),
    "gpt-5.4": ("gpt-5.4-2026-03-05", 1_050_000, 128_000),
    "gpt-5.4-2026-03-05": ("gpt-5.4-2026-03-05", 1_050_000, 128_000),
    "gpt-5.4-mini": ("gpt-5.4-mini-2026-03-17", 400_000, 128_000),
    "gpt-5.4-mini-2026-03-17": ("gpt-5.4-mini-2026-03-17", 400_000, 128_000),
    "gpt-5.4-nano": ("gpt-5.4-nano-2026-03-17", 400_000, 128_000),
    "gpt-5.4-nano-2026-03-17": ("gpt-5.4-nano-2026-03-17", 400_000, 128_000),
    "chat-latest": ("chat-latest", 400_000, 128_000),
    "gpt-5.5": ("gpt-5.5-2026-04-24", 1_050_000, 128_000),
    "gpt-5.5-2026-04-23": ("gpt-5.5-2026-04-23", 1_050_000, 128_000),
    "gpt-5.5-2026-04-24": ("gpt-5.5-2026-04-24", 1_050_000, 128_000),
}
# From 5.6 on the provider counts, and bills, what it writes into its cache.
_WRITING: Final = (
    "gpt-5.6",
    "gpt-5.6-luna",
    "gpt-5.6-sol",
    "gpt-5.6-cyber",
    "gpt-5.6-terra",
    "gpt-6-astra",
    "gpt-6-cyber",
    "gpt-6-luna",
    "gpt-6-rosalind",
    "gpt-6-sol",
    "gpt-6.1-sol",
    "gpt-6.1-terra",
    "daybreak-blue-latest",
    "daybreak-red-latest",
)
# Served by the Responses API alone.
_RESPONSES: Final = ("gpt-5-codex", "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.3-codex", "gpt-5-pro")
_COMPLETION: Final[dict[str, tuple[str, int]]] = {
    "gpt-3.5-turbo-instruct": ("gpt-3.5-turbo-instruct", 4_097),
    "gpt-3.5-turbo-instruct-0914": ("gpt-3.5-turbo-instruct", 4_097),
    "babbage-002": ("babbage-002", 16_384),
    "davinci-002": ("davinci-002", 16_384),
}
_EMBEDDING: Final[dict[str, tuple[str, int, bool]]] = {
    "text-embedding-3-small": ("text-embedding-3-small", 1536, True),
    "text-embedding-3-large": ("text-embedding-3-large", 3072, True),
    "text-embedding-ada-002": ("text-embedding-ada-002-v2", 1536, False),
    "text-embedding-ada-002-v2": ("text-embedding-ada-002-v2", 1536, False),
}
_MODERATION: Final[dict[str, str]] = {
    "omni-moderation-latest": "omni-moderation-latest",
    "omni-moderation-2024-09-26": "omni-moderation-2024-09-26",
    "text-moderation-latest": "text-moderation-007",
    "text-moderation-stable": "text-moderation-007",
    "text-moderation-007": "text-moderation-007",
}
_ALSO: Final = ("chat", "responses")  # every chat model answers there too
SCRIPTED: Final = ("mock-", "fault-")  # made-up models, one for each script; not listed


def _models() -> dict[str, MockModel]:
    models = [
        MockModel(
            name=name,
            answers_as=answers_as,
            family="chat",
            caches=table is not _PLAIN,
            reasons=table is _REASONING,
            context_tokens=context,
            output_max_tokens=most,
        )
        for table in (_PLAIN, _CACHING, _REASONING)
        for name, (answers_as, context, most) in table.items()
    ]
    models += [
        MockModel(
            name=name,
            answers_as=name,
            family="chat",
            reasons=True,
            caches=True,
            counts_cache_writes=True,
            context_tokens=1_050_000,
            output_max_tokens=128_000,
        )
        for name in _WRITING
    ]
    models += [
        MockModel(
            name=name,
            answers_as=name,
            family="responses",
            reasons=True,
            caches=True,
            context_tokens=400_000,
            output_max_tokens=128_000,
        )
        for name in _RESPONSES
    ]
    models += [
        MockModel(
            name=name,
            answers_as=answers_as,
            family="completion",
            context_tokens=context,
            output_max_tokens=4_096,
        )
        for name, (answers_as, context) in _COMPLETION.items()
    ]
    models += [
        MockModel(
            name=name,
            answers_as=answers_as,
            family="embedding",
            context_tokens=8_192,
            dimensions=dimensions,
            shortens=shortens,
        )
        for name, (answers_as, dimensions, shortens) in _EMBEDDING.items()
    ]
    models += [
        MockModel(name=name, answers_as=answers_as, family="moderation", context_tokens=32_768)
        for name, answers_as in _MODERATION.items()
    ]
    return {model.name: model for model in models}


MODELS: Final = _models()


def find_model(name: str, family: Family) -> MockModel:
    """
    The model that *name* means at an endpoint of *family*.

    Raises:
        ApiError: The account has no such model, or it is of another family.
    """
    model = MODELS.get(name)
    if model is not None and (model.family == family or (model.family, family) == _ALSO):
        return model
    if name.startswith(SCRIPTED):
        return MockModel(name=name, answers_as=name, family=family, dimensions=1536, shortens=True)
    if model is None:
        raise unknown_model(name)
    if family in ("chat", "responses", "completion"):
        raise ApiError(
            404,
            f"This is not a {family} model and thus not supported in this endpoint. Did you mean to use another one?",
            param="model",
        )
    raise ApiError(403, f"You are not allowed to use the model {name} here.", param="model")
