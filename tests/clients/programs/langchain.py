"""LangChain, one scenario by name. `langchain.py SCENARIO [responses]`; settings come from the environment."""

from __future__ import annotations

import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from outcome import Answer, prompt, tell, weather

MODEL = "gpt-4o-mini"


def model(**options: object) -> ChatOpenAI:
    return ChatOpenAI(
        **{"model": MODEL, "use_responses_api": "responses" in sys.argv[2:], **options}
    )


def chat() -> object:
    return model().invoke(prompt()).text


def other_model() -> object:
    return model(model="gpt-4o").invoke(prompt()).text


def stream() -> object:
    return [chunk.text for chunk in model().stream(prompt()) if chunk.text]


def tools() -> object:
    bound = model().bind_tools([weather])
    asked = bound.invoke(prompt())
    (call,) = asked.tool_calls
    answered = bound.invoke(
        [HumanMessage(prompt()), asked, ToolMessage("sunny", tool_call_id=call["id"])]
    )
    return {"arguments": call["args"], "text": answered.text}


def structured() -> object:
    return model().with_structured_output(Answer).invoke(prompt()).model_dump()


def embeddings() -> object:
    # Unless told not to, it fetches a vocabulary from the network to cut long texts by.
    maker = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    return [len(found) for found in [*maker.embed_documents(["A", "B"]), maker.embed_query("C")]]


def leave() -> object:
    pieces = model(max_tokens=200).stream(prompt())
    next(pieces)
    pieces.close()
    return "left"


tell(globals()[sys.argv[1]])
