"""A JSON value that matches a simple JSON schema: what a model answers in JSON mode, or calls a tool with."""

from __future__ import annotations

from typing import Any, Final

from tuckshop.mock_upstream.tokens import prose

_DEPTH_MAX: Final = 6  # deeper, only what is required is given
_CIRCLE: Final = 2 * _DEPTH_MAX  # deeper, it requires itself, and nothing matches
_ITEMS_MAX: Final = 1000
_CHARACTERS_MAX: Final = 100_000
_FORMATS: Final = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T10:10:00Z",
    "time": "10:10:00Z",
    "email": "pupil@example.org",
    "uuid": "6f1c2d1e-9a53-4b8a-8a37-3f3b1b0c5a11",
    "uri": "https://example.org/",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
}


def matching(schema: Any, seed: int) -> Any:
    """A value that matches *schema*, the same for the same *seed*. Keywords it does not know are ignored."""
    return _value(schema, schema, seed, 0)


def _value(schema: Any, root: Any, seed: int, depth: int) -> Any:
    if not isinstance(schema, dict):
        return {} if schema is not False else None
    if depth > _CIRCLE:
        return {}
    schema = _resolved(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][seed % len(schema["enum"])]
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            return _value(_pick(schema[word], depth), root, seed, depth + 1)
    kind = _kind_of(schema, depth)
    if kind == "object":
        return _object(schema, root, seed, depth)
    if kind == "array":
        return _array(schema, root, seed, depth)
    if kind == "string":
        return _string(schema, seed)
    if kind in ("integer", "number"):
        return _number(schema, seed, whole=kind == "integer")
    if kind == "boolean":
        return seed % 2 == 0
    return None


def _resolved(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    """*schema* with its local `$ref` followed and its `allOf` folded in."""
    for _ in range(16):  # a reference to a reference; a circle of nothing else ends here
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        target: Any = root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                target = target.get(step, {}) if isinstance(target, dict) else {}
        schema = target if isinstance(target, dict) else {}
    merged = dict(schema)
    for part in schema.get("allOf", []):
        if isinstance(part, dict) and depth <= _CIRCLE:
            part = _resolved(part, root, depth + 1)
            both = {**merged.get("properties", {}), **part.get("properties", {})}
            merged = {**part, **merged}
            if both:
                merged["properties"] = both
                merged["required"] = [*schema.get("required", []), *part.get("required", [])]
    return merged


def _pick(options: list[Any], depth: int) -> Any:
    """The first option; deep down one that ends."""
    if depth >= _DEPTH_MAX:
        for option in options:
            if isinstance(option, dict) and option.get("type") not in ("object", "array", None):
                return option
    return options[0]


def _kind_of(schema: dict[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        if depth >= _DEPTH_MAX and "null" in kind:
            return "null"
        kind = next((word for word in kind if word != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)


def _object(schema: dict[str, Any], root: Any, seed: int, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    names = properties if depth < _DEPTH_MAX else [name for name in properties if name in required]
    return {
        name: _value(properties[name], root, seed + at, depth + 1) for at, name in enumerate(names)
    }


def _array(schema: dict[str, Any], root: Any, seed: int, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    count = min(max(least, 0 if depth >= _DEPTH_MAX else 1), _ITEMS_MAX)
    return [
        _value(schema.get("items", {"type": "string"}), root, seed + at, depth + 1)
        for at in range(min(count, schema.get("maxItems", count)))
    ]


def _string(schema: dict[str, Any], seed: int) -> str:
    if (form := schema.get("format")) in _FORMATS:
        return _FORMATS[form]
    least, most = min(schema.get("minLength", 0), _CHARACTERS_MAX), schema.get("maxLength", 1 << 20)
    text = "".join(prose(seed, 4))
    while len(text) < least:
        text += "".join(prose(seed, 16))
    return str(text[:most])


def _number(schema: dict[str, Any], seed: int, *, whole: bool) -> int | float:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf", 1 if whole else 0.5)
    if least is None:
        least = 0 if most is None or most >= 0 else most - 10 * step
    value = -(-least // step) * step
    if "exclusiveMinimum" in schema and value <= least:
        value += step
    room = 10 if most is None else max(0, int((most - value) / step) - 1)
    value += step * (seed % (min(room, 10) + 1))
    return int(value) if whole else float(value)
