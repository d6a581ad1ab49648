"""LlamaIndex, one scenario by name. `llamaindex.py SCENARIO [like]`; settings come from the environment."""

from __future__ import annotations

import os
import sys

from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from outcome import Answer, prompt, tell, weather

MODEL = "gpt-4o-mini"


def model(**options: object) -> LLM:
    given = {"model": MODEL, **options}
    if "like" not in sys.argv[2:]:
        return OpenAI(**given)
    return OpenAILike(
        api_base=os.environ["OPENAI_BASE_URL"],
        api_key=os.environ["OPENAI_API_KEY"],
        is_chat_model=True,
        is_function_calling_model=True,
        should_use_structured_outputs=True,
        **given,
    )


def chat() -> object:
    return str(model().complete(prompt()))


def other_model() -> object:
    return str(model(model="gpt-4o").complete(prompt()))


def stream() -> object:
    return [piece.delta for piece in model().stream_complete(prompt()) if piece.delta]


def tools() -> object:
    reply = model().predict_and_call([FunctionTool.from_defaults(weather)], prompt())
    (source,) = reply.sources
    return {"arguments": source.raw_input["kwargs"], "text": str(reply)}


def structured() -> object:
    return model().structured_predict(Answer, PromptTemplate(prompt())).model_dump()


def embeddings() -> object:
    maker = OpenAIEmbedding(model="text-embedding-3-small")
    return [
        len(found)
        for found in [*maker.get_text_embedding_batch(["A", "B"]), maker.get_text_embedding("C")]
    ]


def leave() -> object:
    pieces = model(max_tokens=200).stream_complete(prompt())
    next(pieces)
    pieces.close()
    return "left"


tell(globals()[sys.argv[1]])
