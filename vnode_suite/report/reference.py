"""The reference of ``report.json`` as Markdown, written from its schema: ``docs/report-format.md`` is this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEAD = """\
# report.json

Written from `report.v1.schema.json` by `vnode-suite report schema --markdown`; a test holds the two together. In Python
`vnode_suite.report.load(path)` gives the same as typed objects.

"""


def markdown(schema: Mapping[str, Any]) -> str:
    """A section for the whole and for each of its objects, with a row for each field."""
    parts = [_HEAD + _section("The whole", schema)]
    parts += [_section(name, each) for name, each in schema["$defs"].items()]
    return "\n".join(parts)


def _section(name: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {_type(each)} | {'' if field in needed else 'no'} | {each.get('description', '')} |"
        for field, each in schema["properties"].items()
    ]
    head = [
        f"## {name}",
        "",
        schema["description"],
        "",
        "| field | type | always there | |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _type(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join("null" if each is None else f"`{each}`" for each in schema["enum"])
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(each) for each in schema[choice])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kinds = schema.get("type", "any")
    if kinds == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"{_type(schema['additionalProperties'])} by name"
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
