"""The reference documents every public name."""

import importlib
import re

import pytest

from tests.docs.pages import ROOT

DOCUMENTED = frozenset(
    name
    for page in (ROOT / "docs" / "reference").glob("*.md")
    for name in re.findall(r"^\.\. auto\w+:: ([\w.]+)", page.read_text(), re.MULTILINE)
)
MODULES = ("", ".bulk", ".errors", ".fleet", ".limits", ".structures", ".testing")
# Types to annotate with.
ALIASES = frozenset({"OrderOutcome"})


@pytest.mark.parametrize("module", [f"clickpost_async{name}" for name in MODULES])
def test_every_public_class_and_function_is_in_the_reference(module: str) -> None:
    documented = {_resolve(name) for name in DOCUMENTED}
    imported = importlib.import_module(module)
    # dir() includes what a module imports on first use.
    public = {
        name: value
        for name in dir(imported)
        if not name.startswith("_")
        and getattr(value := getattr(imported, name), "__module__", "").startswith("clickpost")
    }

    assert {name for name, value in public.items() if value not in documented} <= ALIASES


def _resolve(name: str) -> object:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)
