"""
What a body asks for: all that price, policy and routing need to know of it, or a refusal by name (M12).

Types are strict where money or routing depends on them; of the rest the upstream is the judge. Whatever would change
the price in a way that nobody here can bound, or leave something at the provider, is refused by the name of its field.
Each endpoint's own reading is a module of its own; this one finds the model, and what nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import Tree, parse
from tuckshop.protocols.openai.body import IMAGES_MAX, BodyFacts, BodyLimits
from tuckshop.protocols.openai.chat import read_chat
from tuckshop.protocols.openai.responses import read_response
from tuckshop.protocols.openai.text import json_bytes
from tuckshop.protocols.openai.texts import read_completion, read_embedding, read_moderation
from tuckshop.protocols.openai.values import wrong

__all__ = ["BodyFacts", "read_body", "understand", "unknown_parameter"]

LIMITS: Final = BodyLimits()

_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str, tuple[str, ...]], BodyFacts]]] = {
    "chat.completions": read_chat,
    "responses": read_response,
    "responses.input_tokens": read_response,
    "completions": read_completion,
    "embeddings": read_embedding,
    "moderations": read_moderation,
}


def read_body(
    endpoint: Endpoint, body: bytes, *, limits: BodyLimits = LIMITS, pass_unknown: bool
) -> tuple[Tree, BodyFacts]:
    """
    What *body* says, and its facts. Takes time in proportion to it.

    Raises:
        InvalidRequestBodyError, ParameterNotAllowedError: As `json_body.parse` and `understand`.
    """
    tree = parse(body, max_depth=limits.max_depth, max_values=limits.max_values)
    return tree, understand(endpoint, tree, limits=limits, pass_unknown=pass_unknown)


def understand(
    endpoint: Endpoint,
    tree: Mapping[str, Any],
    *,
    limits: BodyLimits = LIMITS,
    pass_unknown: bool,
) -> BodyFacts:
    """
    The facts of the body *tree* of a call to *endpoint*.

    Args:
        pass_unknown: Whether the policy passes top-level names on that the endpoint's row does not know.
    Raises:
        InvalidRequestBodyError: A field that matters is missing or of a wrong type.
        ParameterNotAllowedError: A field, a tool or a value that may not be used, by its path.
    """
    model = tree.get("model")
    if model is None and endpoint.default_model is not None:
        model = endpoint.default_model
    if not isinstance(model, str) or not 0 < len(model) <= limits.model_max_chars:
        raise wrong("model", f"a string of 1 to {limits.model_max_chars} characters")
    if endpoint.generates and "-search-" in model:
        raise ParameterNotAllowedError("model", "models that search the web cost a fee per call")
    unknown: tuple[str, ...] = ()
    if not tree.keys() <= endpoint.parameters:
        unknown = tuple(name for name in tree if name not in endpoint.parameters)
    if unknown and not pass_unknown:
        raise unknown_parameter(unknown[0])
    for name in unknown:
        known = name.casefold()
        if known in endpoint.parameters:
            # Servers written in Go do: what was checked would not be what is obeyed (K9).
            raise ParameterNotAllowedError(name, f"some servers would read it as `{known}`")
    facts = _READERS[endpoint.name](tree, model, unknown)
    if len(facts.images) > IMAGES_MAX:
        raise InvalidRequestBodyError(f"it has more than {IMAGES_MAX:,} images")
    if not unknown:
        return facts
    # Such a field may be written into the prompt: some servers take documents or a schema in fields of their own.
    passed = sum(len(name.encode()) + json_bytes(tree[name]) for name in unknown)
    return replace(facts, text_bytes=facts.text_bytes + passed * facts.prompts)


def unknown_parameter(name: str) -> ParameterNotAllowedError:
    """The refusal of a top-level name that the endpoint's row does not know (M12)."""
    return ParameterNotAllowedError(name, "it is not known here, so its price is not either")
