"""openai-agents, one scenario by name. `agents_sdk.py SCENARIO [responses]`; settings come from the environment."""

from __future__ import annotations

import asyncio
import sys

from agents import Agent, ModelSettings, Runner, function_tool, set_default_openai_api
from outcome import Answer, prompt, tell
from outcome import weather as tell_weather

MODEL = "gpt-4o-mini"

set_default_openai_api("responses" if "responses" in sys.argv[2:] else "chat_completions")
asked: list[str] = []


@function_tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    asked.append(city)
    return tell_weather(city)


def agent(**options: object) -> Agent:
    return Agent(**{"name": "Helper", "model": MODEL, **options})


def chat() -> object:
    return Runner.run_sync(agent(), prompt()).final_output


def other_model() -> object:
    return Runner.run_sync(agent(model="gpt-4o"), prompt()).final_output


async def _pieces(first_only: bool) -> list[str]:
    run = Runner.run_streamed(agent(model_settings=ModelSettings(max_tokens=200)), prompt())
    pieces = []
    async for event in run.stream_events():
        delta = getattr(getattr(event, "data", None), "delta", None)
        if isinstance(delta, str):
            pieces.append(delta)
            if first_only:
                run.cancel()
                break
    return pieces


def stream() -> object:
    return asyncio.run(_pieces(False))


def leave() -> object:
    return asyncio.run(_pieces(True))


def tools() -> object:
    text = Runner.run_sync(agent(tools=[weather]), prompt()).final_output
    return {"arguments": {"city": asked[0]}, "text": text}


def structured() -> object:
    return Runner.run_sync(agent(output_type=Answer), prompt()).final_output.model_dump()


tell(globals()[sys.argv[1]])
