"""
`/api/docs`: the admin API for people, made of the OpenAPI document when somebody first asks for it.

One static page without a script, a font or a picture from anywhere. Its style is named by hash in the policy that goes
with it (K13), and it tells nothing but how the API is spoken (K17).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, Final

import msgspec

from tuckshop.api.routing import JSON_TYPE, Route

_STYLE_FILE: Final = "docs_page.css"
_KEYWORDS: Final = (
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("minLength", "characters at least"),
    ("maxLength", "characters at most"),
    ("maxItems", "entries at most"),
    ("pattern", "as"),
)
# What calls of one kind may be refused with, besides 401 and 403 where a credential is needed.
_REFUSALS: Final[Mapping[int, str]] = {
    400: "the body is not JSON with one meaning",
    401: "no credential, or one that is not known",
    403: "a credential that may not make this call",
    404: "there is no such object",
    409: "not in the present state",
    412: "<code>If-Match</code> names a version that is no longer the present one",
    413: "the body is too large",
    415: "a type of body that is not read here",
    422: "a field or parameter that does not exist, or whose value cannot be taken",
    429: "asked too often",
    503: "nothing can be written now",
}


def style() -> str:
    """The style sheet of the page."""
    return resources.files("tuckshop.api").joinpath(_STYLE_FILE).read_text(encoding="utf-8")


def policy() -> str:
    """The Content-Security-Policy that the page goes out with: nothing but its own style."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def page(document: Mapping[str, Any], routes: Sequence[Route]) -> bytes:
    """The page that describes *routes*, of which *document* is the OpenAPI description."""
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    by_tag: dict[str, list[Route]] = {}
    for route in routes:
        by_tag.setdefault(_tag(route), []).append(route)
    menu = "".join(
        f"<li><a href='#{_slug(tag)}'>{escape(tag)}</a></li>" for tag in (*by_tag, "Objects")
    )
    calls = "".join(
        f"<section aria-labelledby='{_slug(tag)}'><h2 id='{_slug(tag)}'>{escape(tag)}</h2>"
        + "".join(_call(route, document) for route in some)
        + "</section>"
        for tag, some in by_tag.items()
    )
    objects = "".join(_object(name, schemas[name]) for name in sorted(schemas))
    about = document["info"]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>The admin API of tuckshop</title><style>{style()}</style></head><body>"
        "<a class='skip' href='#calls'>To the calls</a>"
        f"<header><h1>The admin API of tuckshop <small>{escape(about['version'])}</small></h1>"
        f"<p>{escape(about['description'])} Every call but those without a credential takes "
        "<code>Authorization: Bearer TOKEN</code>. For machines: "
        "<a href='/api/openapi.json'>OpenAPI 3.1</a>.</p></header>"
        f"<nav aria-label='Sections'><ul>{menu}</ul></nav><main id='calls'>{calls}"
        f"<section aria-labelledby='objects'><h2 id='objects'>Objects</h2>{objects}</section>"
        "</main></body></html>"
    ).encode()


def _tag(route: Route) -> str:
    if route.role == "public":
        return "Without a credential"
    if route.role == "key":
        return "A key about itself"
    return route.path.split("/")[3].replace("-", " ").capitalize()


def _call(route: Route, document: Mapping[str, Any]) -> str:
    operation = document["paths"][route.path][route.method.lower()]
    name = f"{route.method.lower()}-{_slug(route.path)}"
    parts = [
        f"<article aria-labelledby='{name}'><h3 id='{name}'>"
        f"<a href='#{name}'><b class='{route.method.lower()}'>{route.method}</b> "
        f"<code>{escape(route.path).replace('/', '/<wbr>')}</code></a></h3>"
        f"<p>{escape(route.summary)}.</p><p class='role'>Least role: <b>{escape(route.role)}</b></p>"
    ]
    if parameters := operation.get("parameters"):
        parts.append(
            _table(
                "Parameters",
                ("name", "in", "value"),
                (
                    (
                        f"<code>{escape(one['name'])}</code>",
                        one["in"],
                        escape(one["description"])
                        if "description" in one
                        else _kind(one["schema"]),
                    )
                    for one in parameters
                ),
            )
        )
    if body := operation.get("requestBody"):
        schema = body["content"].get(JSON_TYPE, {}).get("schema")
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
        needed = "" if body["required"] else " (may be left out)"
        parts.append(
            f"<h4>Body{needed}</h4><p>{kinds}: {_kind(schema) if schema else 'a file'}</p>"
        )
        if schema is not None:
            example = msgspec.json.format(
                msgspec.json.encode(_example(schema, document["components"]["schemas"]))
            ).decode()
            parts.append(
                f"<details><summary>Example</summary><pre>{escape(example)}</pre></details>"
            )
    good = next(iter(operation["responses"]))
    content = operation["responses"][good]["content"]
    shown = _kind(content[JSON_TYPE]["schema"]) if JSON_TYPE in content else "text"
    more = "".join(f", <code>{escape(kind)}</code>" for kind in content if kind != JSON_TYPE)
    parts.append(f"<h4>Answer</h4><p><b>{good}</b>: {shown}{more}</p>")
    refusals = ", ".join(
        f"<b>{status}</b> {_REFUSALS[int(status)]}"
        for status in operation["responses"]
        if status.isdigit() and int(status) in _REFUSALS
    )
    if refusals:
        parts.append(f"<details><summary>Refusals</summary><p>{refusals}.</p></details>")
    return "".join(parts) + "</article>"


def _value(parameter: Mapping[str, Any]) -> str:
    """What a parameter takes: in words of its own, where it has some."""
    said = parameter.get("description")
    return _kind(parameter["schema"]) if said is None else escape(said)


def _object(name: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = (
        (f"<code>{escape(field)}</code>{' *' if field in needed else ''}", _kind(kind))
        for field, kind in schema.get("properties", {}).items()
    )
    about = escape(schema.get("description", ""))
    return (
        f"<article aria-labelledby='{_slug(name)}-object'><h3 id='{_slug(name)}-object'>"
        f"<a href='#{_slug(name)}-object'>{escape(name)}</a></h3><p>{about}</p>"
        + _table("Fields (* always there, or needed)", ("name", "value"), rows)
        + "</article>"
    )


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th scope='col'>{head}</th>" for head in heads)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f"<div class='wide' tabindex='0' role='region' aria-label='{escape(title)}'><table>"
        f"<caption>{escape(title)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return f"<a href='#{_slug(name)}-object'>{escape(name)}</a>"
    if several := schema.get("anyOf"):
        return " or ".join(_kind(one) for one in several)
    if "enum" in schema:
        told = ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    elif schema.get("type") == "array":
        told = f"list of {_kind(schema.get('items', {}))}"
    elif schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        told = f"object of {_kind(schema['additionalProperties'])}"
    else:
        told = escape(str(schema.get("format") or schema.get("type") or "anything"))
    bounds = [
        f"{words} <code>{escape(str(schema[key]))}</code>"
        for key, words in _KEYWORDS
        if key in schema
    ]
    if schema.get("default") not in (None, {}, []):
        bounds.append(f"else <code>{escape(str(schema['default']))}</code>")
    if "description" in schema:
        bounds.append(escape(schema["description"]))
    return told + (f" ({', '.join(bounds)})" if bounds else "")


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """Something that the schema takes: what is needed, and of what is not the first few fields."""
    if reference := schema.get("$ref"):
        return _example(schemas[str(reference).rpartition("/")[2]], schemas, depth + 1)
    if several := schema.get("anyOf"):
        chosen = [one for one in several if one.get("type") != "null"] or several
        return _example(chosen[0], schemas, depth)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            needed = schema.get("required", ())
            fields = schema.get("properties", {})
            names = [n for n in fields if n in needed] + [n for n in fields if n not in needed][:3]
            return {n: _example(fields[n], schemas, depth + 1) for n in names if depth < 4}
        case "array":
            return [_example(schema.get("items", {}), schemas, depth + 1)] if depth < 4 else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "2026-12-31T00:00:00Z" if schema.get("format") == "date-time" else "text"


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text).strip("-").lower()
