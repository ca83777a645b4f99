"""The interface, to be read by people: one page made from the OpenAPI document, which asks nothing of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The page has one style and nothing that runs."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24;
       background: #fff }
code, pre { font: 14px/1.45 ui-monospace, monospace } pre { background: #f3f4f6; padding: .75rem; overflow-x: auto }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d5dc } h3 { margin: 2rem 0 .25rem; overflow-wrap: anywhere }
.verb { display: inline-block; min-width: 4rem; font-weight: 700; color: #0b5cad } .id { color: #59636e }
table { border-collapse: collapse } td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #14171c; color: #e3e7ec } pre { background: #1e232b }
  h2 { border-color: #3a424e } .verb { color: #7fb8f5 } .id { color: #9aa4b0 } }
"""


def reference_page(document: Mapping[str, Any], *, prefix: str) -> str:
    """HTML of an OpenAPI document; ``prefix``, which most paths begin with, is shown as ``{W}``."""
    title = escape(document["info"]["title"])
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            shown = path.replace(prefix, "{W}")
            groups.setdefault(operation.get("tags", ["Other"])[0], []).append(_operation(method, shown, operation))
    sections = "".join(f"<h2>{escape(name)}</h2>{''.join(texts)}" for name, texts in groups.items())
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title} {escape(document['info']['version'])}</h1><p>{escape(document['info']['description'])} "
        f"The same for programs: <a href='openapi.json'>openapi.json</a>.</p>"
        f"<p><code>{{W}}</code> is <code>{escape(prefix)}</code>, also below <code>/v1.0</code>.</p>"
        f"{sections}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    paragraphs = "".join(f"<p>{_inline(text)}</p>" for text in operation.get("description", "").split("\n\n"))
    parameters = [found for found in operation.get("parameters", ()) if found["in"] != "path"]
    rows = "".join(
        f"<tr><td><code>{escape(found['name'])}</code></td><td>{_inline(found.get('description', ''))}</td></tr>"
        for found in parameters
    )
    table = f"<table>{rows}</table>" if rows else ""
    body = "".join(f"<p>Body: {_type(schema)}</p>" for schema in _schemas(operation.get("requestBody", {})))
    answers = "".join(
        f"<p>{'Error' if status == 'default' else escape(status)}: {_answer(answer)}</p>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<h3 id="{escape(operation["operationId"])}"><span class="verb">{method.upper()}</span> '
        f'<code>{escape(path)}</code> <small class="id">{escape(operation["operationId"])}</small></h3>'
        f"{paragraphs}{table}{body}{answers}"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    return " or ".join(map(_type, _schemas(answer))) or _inline(answer.get("description", ""))


def _schemas(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for media in holder.get("content", {}).values():
        yield media.get("x-event-data", media["schema"])


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with links to those that have names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if schema.get("type") == "array" and "items" in schema and schema["items"]:
        return f"list of {_type(schema['items'])}"
    if "properties" in schema:
        inner = ", ".join(f"<code>{escape(name)}</code> ({_type(of)})" for name, of in schema["properties"].items())
        return f"object of {inner}"
    return f"<code>{escape(schema.get('format', str(schema.get('type', 'any JSON'))))}</code>"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    description = f"<p>{_inline(schema['description'])}</p>" if "description" in schema else ""
    if "enum" in schema:
        choices = ", ".join(f"<code>{escape(json.dumps(choice))}</code>" for choice in schema["enum"])
        return f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>{description}<p>One of {choices}.</p>'
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(member)}</code></td><td>{_type(of)}</td>"
        f"<td>{'' if member in required else 'may be missing'}</td></tr>"
        for member, of in schema.get("properties", {}).items()
    )
    return f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>{description}<table>{rows}</table>'


def _inline(text: str) -> str:
    """Text with what stands between backquotes as code."""
    parts = escape(" ".join(text.replace("``", "`").split())).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
