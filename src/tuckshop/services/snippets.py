"""Texts that a key holder copies: the variables that clients read, and a first call, with address and key filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tuckshop.domain.policy import Policy
from tuckshop.pricing.prices import ModelPrice
from tuckshop.services.shapes.claims import Snippet

USUAL_MODEL: Final = "gpt-4o-mini"


def variables(base_url: str, key: str) -> Mapping[str, str]:
    """
    What clients read from the environment; all four are set.

    LlamaIndex and aider read OPENAI_API_BASE alone, and a client that finds no address goes to OpenAI with the key;
    openai-agents posts prompts straight to OpenAI unless its tracing is switched off.
    """
    return {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_BASE": base_url,
        "OPENAI_API_KEY": key,
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
    }


def first_model(prices: Sequence[ModelPrice], policy: Policy) -> str | None:
    """The model for a first call: the usual one if it may be used, else the cheapest that chats; None: none may."""
    may = [
        price
        for price in prices
        if price.family == "chat" and not price.search and policy.may_model(price.model)
    ]
    if any(price.model == USUAL_MODEL for price in may):
        return USUAL_MODEL
    cheapest = min(may, key=lambda price: (price.output or 0, price.model), default=None)
    return None if cheapest is None else cheapest.model


def snippets(base_url: str, key: str, model: str | None) -> list[Snippet]:
    """
    By shell and language. Address, key and model are of alphabets that need no quoting in any of them.

    Args:
        model: For a chat; None: there is none, so the first call lists what may be used.
    """
    named = variables(base_url, key)
    return [
        Snippet(
            title="Terminal (macOS, Linux)",
            text="\n".join(f"export {name}={value}" for name, value in named.items()),
        ),
        Snippet(
            title="PowerShell (Windows)",
            text="\n".join(f'$env:{name} = "{value}"' for name, value in named.items()),
        ),
        Snippet(title="Python", text=_python(base_url, key, model)),
        Snippet(title="curl", text=_curl(base_url, key, model)),
    ]


def _python(base_url: str, key: str, model: str | None) -> str:
    client = f"""\
from openai import OpenAI

client = OpenAI(
    base_url="{base_url}",
    api_key="{key}",
)
"""
    if model is None:
        return f"{client}print([model.id for model in client.models.list()])"
    return f"""{client}\
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "What is a tuck shop?"}}],
)
print(answer.choices[0].message.content)"""


def _curl(base_url: str, key: str, model: str | None) -> str:
    if model is None:
        return f"""curl {base_url}/models --header "Authorization: Bearer {key}\""""
    return f"""\
curl {base_url}/chat/completions \\
  --header "Authorization: Bearer {key}" \\
  --header "Content-Type: application/json" \\
  --data '{{"model": "{model}", "messages": [{{"role": "user", "content": "What is a tuck shop?"}}]}}'"""
