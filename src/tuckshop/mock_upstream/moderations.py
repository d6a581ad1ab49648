"""Made-up moderation: harmless, unless a marker `[[flag:CATEGORY]]` or a plain threat says otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.catalogue import MockModel, find_model
from tuckshop.mock_upstream.errors import ApiError, wrong_type
from tuckshop.mock_upstream.markers import read_markers
from tuckshop.mock_upstream.script import Script
from tuckshop.mock_upstream.tokens import seed_of

Results: TypeAlias = list[dict[str, Any]]

# True: the category is also judged in images.
CATEGORIES: Final = {
    "harassment": False,
    "harassment/threatening": False,
    "hate": False,
    "hate/threatening": False,
    "illicit": False,
    "illicit/violent": False,
    "self-harm": True,
    "self-harm/intent": True,
    "self-harm/instructions": True,
    "sexual": True,
    "sexual/minors": False,
    "violence": True,
    "violence/graphic": True,
}
_THREAT: Final = re.compile(r"\b(kill|murder|stab|shoot)\b", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class ModerationsRequest:
    """What is to be judged: each entry a text and whether there are pictures with it."""

    model: MockModel
    markers: dict[str, str]
    entries: list[tuple[str, bool]]


def read_moderations(body: object) -> ModerationsRequest:
    """
    *body* as the provider understands it.

    Raises:
        ApiError: It does not.
    """
    given = parameters.check(body, parameters.MODERATIONS, ("input",))
    model = find_model(given.get("model", "omni-moderation-latest"), "moderation")
    entries = _entries(given["input"])
    return ModerationsRequest(
        model=model,
        markers=read_markers("\n".join(text for text, _ in entries)),
        entries=entries,
    )


def reply_object(request: ModerationsRequest, model: str, *, number_: str) -> dict[str, Any]:
    """The reply to *request*."""
    return {
        "id": f"modr-{number_}",
        "model": model,
        "results": [_judged(text, pictured=pictured) for text, pictured in request.entries],
    }


def _each_score(results: Results, score: float) -> Results:
    return [one | {"category_scores": dict.fromkeys(CATEGORIES, score)} for one in results]


def _without(result: dict[str, Any], category: str) -> dict[str, Any]:
    """*result* as if nobody had thought of *category*."""
    kept = {
        field: {name: value for name, value in result[field].items() if name != category}
        for field in ("categories", "category_scores")
    }
    return result | kept


# What the results are instead of the truth; a function of the true ones.
ODD_VERDICTS: Final[Mapping[str, Callable[[Results], Results]]] = {
    "too-few": lambda results: results[1:],
    "incomplete": lambda results: [_without(one, "violence") for one in results],
    "beyond-one": lambda results: _each_score(results, 1.5),
    "not-a-number": lambda results: _each_score(results, float("nan")),
    "contradiction": lambda results: [
        one | {"flagged": False, "categories": dict.fromkeys(CATEGORIES, True)} for one in results
    ],
}


def distorted(reply: dict[str, Any], script: Script) -> dict[str, Any]:
    """*reply* as *script* says."""
    if script.verdict_value is not None:
        reply["results"] = ODD_VERDICTS[script.verdict_value](reply["results"])
    if script.padding_bytes:
        reply["padding"] = "x" * script.padding_bytes
    return reply


def _entries(value: Any) -> list[tuple[str, bool]]:
    if isinstance(value, str):
        return [(value, False)]
    if not value:
        raise ApiError(400, "Input cannot be an empty list.", param="input")
    if all(isinstance(item, str) for item in value):
        return [(item, False) for item in value]
    texts, pictured = [], False
    for index, part in enumerate(value):
        if not isinstance(part, dict):
            raise wrong_type(f"input[{index}]", "an object", part)
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "image_url":
            pictured = True
        else:
            raise wrong_type(f"input[{index}]", "a text or an image_url", part)
    return [("\n".join(texts), pictured)]


def _judged(text: str, *, pictured: bool) -> dict[str, Any]:
    flagged = {read_markers(text).get("flag", "")} & CATEGORIES.keys()
    if _THREAT.search(text):
        flagged.add("violence")
    seed = seed_of(text)
    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": {
            name: 0.97 if name in flagged else (1 + (seed >> at) % 997) / 1_000_000
            for at, name in enumerate(CATEGORIES)
        },
        "category_applied_input_types": {
            name: ["text", "image"] if pictured and in_images else ["text"]
            for name, in_images in CATEGORIES.items()
        },
    }
