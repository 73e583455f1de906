"""Renders responses from templates: JSON files that look like ClickPost's own examples.

In a template `"$order.waybill"` is replaced by that value, `"@ids"` by another template of the same
file, the key `"..."` by the fields of its value, and a key that ends with `?` is left out when its
value is empty.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from clickpost_async.sandbox.operation import JSON

Fill = Callable[[Mapping[str, Any]], Any]


def render(name: str, /, **values: object) -> JSON:
    """Return a template with its values: `orders.placed_v3` is one in `orders.json`."""
    file, _, template = name.partition(".")
    rendered: JSON = _templates(file)[template](values)
    return rendered


@cache
def _templates(file: str) -> Mapping[str, Fill]:
    path = resources.files(__name__) / f"{file}.json"
    templates: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    return {name: _compiled(template, templates) for name, template in templates.items()}


def _compiled(part: object, templates: Mapping[str, object]) -> Fill:
    if isinstance(part, list):
        members = [_compiled(member, templates) for member in part]
        return lambda values: [fill(values) for fill in members]
    if isinstance(part, Mapping):
        fields = {name: _compiled(member, templates) for name, member in part.items()}
        return lambda values: _filled(fields, values)
    if isinstance(part, str) and part.startswith("@"):
        return _compiled(templates[part[1:]], templates)
    if isinstance(part, str) and part.startswith("$"):
        name, *rest = part[1:].split(".")
        return lambda values: _value(values[name], rest)
    return lambda _: part


def _filled(fields: Mapping[str, Fill], values: Mapping[str, Any]) -> JSON:
    filled: dict[str, object] = {}
    for name, fill in fields.items():
        value = fill(values)
        if name == "...":
            for part in value if isinstance(value, list) else [value]:
                filled |= part
        elif value or not name.endswith("?"):
            filled[name.removesuffix("?")] = value
    return filled


def _value(value: object, names: list[str]) -> object:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name)
    return value
