"""The words of the API itself, which say nothing."""

from __future__ import annotations

from typing import Final

from tuckshop.protocols.openai.table import ENDPOINTS

# A closed list: names and values of the API and of JSON schemas, of which no sentence can be made.
API_WORDS: Final = frozenset(
    {
        # messages, items, parts
        "additional_tools", "arguments", "assistant", "call_id", "completed", "content", "custom", "custom_tool_call",
        "custom_tool_call_output", "detail", "developer", "encrypted_content", "function", "function_call",
        "function_call_output", "image_url", "in_progress", "incomplete", "input_image", "input_text", "message",
        "output", "output_text", "phase", "prompt_cache_breakpoint", "reasoning", "reasoning_text", "refusal", "role",
        "status", "summary", "summary_text", "system", "text", "tool", "tool_call_id", "tool_calls", "url", "user",
        "id", "name", "type",
        # tools and schemas
        "$defs", "$ref", "additionalProperties", "allowed_tools", "anyOf", "array", "boolean", "default", "description",
        "enum", "format", "grammar", "integer", "items", "json_object", "json_schema", "lark", "null", "number",
        "object", "parameters", "properties", "regex", "required", "schema", "strict", "string", "title",
        # options
        "auto", "concise", "detailed", "effort", "flex", "generate_summary", "high", "in-memory", "in_memory",
        "include_obfuscation", "include_usage", "low", "medium", "minimal", "mode", "none", "priority",
        "reasoning.encrypted_content", "ttl", "xhigh",
    }
    | {name for endpoint in ENDPOINTS for name in endpoint.parameters}
)  # fmt: skip
