"""Renders responses from templates: JSON files that look like ClickPost's own examples.

In a template `"$order.waybill"` is replaced by that value, `"@ids"` by another template of the same
file, the key `"..."` by the fields of its value, and a key that ends with `?` is left out when its
value is empty.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


def render(name: str, /, **values: object) -> Any:
    """Return a template with its values: `orders.placed_india` is one in `orders.json`."""
    file, _, template = name.partition(".")
    templates = _templates(file)
    return _filled(templates[template], templates, values)


@cache
def _templates(file: str) -> Mapping[str, object]:
    path = resources.files(__name__) / f"{file}.json"
    templates: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    return templates


def _filled(part: object, templates: Mapping[str, object], values: Mapping[str, object]) -> Any:
    if isinstance(part, list):
        return [_filled(member, templates, values) for member in part]
    if isinstance(part, Mapping):
        filled: dict[str, object] = {}
        for name, member in part.items():
            value = _filled(member, templates, values)
            if name == "...":
                for fields in value if isinstance(value, list) else [value]:
                    filled |= fields
            elif value or not name.endswith("?"):
                filled[name.removesuffix("?")] = value
        return filled
    if isinstance(part, str) and part.startswith("@"):
        return _filled(templates[part[1:]], templates, values)
    return _value(part[1:], values) if isinstance(part, str) and part.startswith("$") else part


def _value(path: str, values: Mapping[str, object]) -> object:
    name, *rest = path.split(".")
    value = values[name]
    for name in rest:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
    return value
