"""What a body asks for whose input is texts or token numbers: completions, embeddings, moderations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tuckshop.protocols.image_size import ImageInput
from tuckshop.protocols.openai.body import (
    CAP_MAX,
    CHOICES_MAX,
    INPUTS_MAX,
    BodyFacts,
    wants_usage,
)
from tuckshop.protocols.openai.chat import read_part
from tuckshop.protocols.openai.text import message_bytes
from tuckshop.protocols.openai.values import count, flag, is_token, wrong

BEST_OF_MAX: Final = 20
UNSTATED_CAP: Final = (
    16  # what a body of /completions without `max_tokens` means (OpenAI's specification)
)


def read_completion(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    """The facts of a body of POST /completions; raises as `understand` does."""
    stream = flag(tree, "stream")
    prompt = tree.get("prompt")  # null is the end of an empty document, so one text of nothing
    prompts, text_bytes, token_ids = _texts("" if prompt is None else prompt, "prompt")
    suffix = tree.get("suffix")
    if suffix is not None and not isinstance(suffix, str):
        raise wrong("suffix", "a string")
    answers = max(
        count(tree, "n", most=CHOICES_MAX) or 1,
        count(tree, "best_of", most=BEST_OF_MAX, least=0) or 1,
    )
    cap = count(tree, "max_tokens", most=CAP_MAX, least=0)
    return BodyFacts(
        model=model,
        stream=stream,
        wants_usage=wants_usage(tree, stream=stream),
        cap_wanted=UNSTATED_CAP if cap is None else cap,
        cap_fields=() if cap is None else ("max_tokens",),
        choices=answers * prompts,
        prompts=prompts,
        # The suffix goes with each of them.
        text_bytes=text_bytes + prompts * message_bytes(suffix or ""),
        messages=prompts,
        token_ids=token_ids,
        echoes=flag(tree, "echo"),
        unknown_parameters=unknown,
    )


def read_embedding(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    """The facts of a body of POST /embeddings; raises as `understand` does."""
    texts, text_bytes, token_ids = _texts(tree.get("input"), "input")
    return BodyFacts(
        model=model,
        text_bytes=text_bytes,
        messages=texts,
        token_ids=token_ids,
        unknown_parameters=unknown,
    )


def read_moderation(tree: Mapping[str, Any], model: str, unknown: tuple[str, ...]) -> BodyFacts:
    """The facts of a body of POST /moderations; raises as `understand` does."""
    entries = tree.get("input")
    if isinstance(entries, str):
        entries = [entries]
    if not isinstance(entries, list):
        raise wrong("input", "a string or a list")
    images: list[ImageInput] = []
    left: list[Any] = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            left.append(read_part(entry, f"input[{index}]", images))
        elif isinstance(entry, str):
            left.append(entry)
        else:
            raise wrong(f"input[{index}]", "a string or a part")
    return BodyFacts(
        model=model,
        text_bytes=message_bytes(left),
        messages=len(entries),
        images=tuple(images),
        unknown_parameters=unknown,
    )


def _texts(entries: Any, name: str) -> tuple[int, int, int]:
    """(texts, their bytes, token numbers) of an input: a text, several, token numbers, or several lists of those."""
    if isinstance(entries, str):
        entries = [entries]
    if not isinstance(entries, list) or not 0 < len(entries) <= INPUTS_MAX:
        raise wrong(name, f"a string or a list of 1 to {INPUTS_MAX} entries")
    if all(map(is_token, entries)):
        return 1, 0, len(entries)
    if all(isinstance(entry, str) for entry in entries):
        return len(entries), message_bytes(entries), 0
    if all(isinstance(entry, list) and all(map(is_token, entry)) for entry in entries):
        return len(entries), 0, sum(map(len, entries))
    raise wrong(name, "strings, or token numbers, or lists of token numbers")
