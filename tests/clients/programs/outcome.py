"""What the scenarios of all Python clients share: the prompt, a tool, a shape, and how the outcome is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from pydantic import BaseModel


class Answer(BaseModel):
    """An answer in parts."""

    title: str
    points: list[str]


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def prompt() -> str:
    return os.environ.get("PROMPT", "Say hello to the class.")


def tell(scenario: Callable[[], object]) -> None:
    """Print the value of *scenario*, or the error a student would see, as a line of JSON."""
    try:
        told: dict[str, object] = {"value": scenario()}
    except Exception as error:
        told = {
            "error": {
                "name": type(error).__name__,
                "status": getattr(error, "status_code", None),
                "code": getattr(error, "code", None),
                "message": str(error),
            }
        }
    print(json.dumps(told))
