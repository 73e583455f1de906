"""The reference documents every public name."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

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


def _callables() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield every function of the reference, and the methods that its classes define."""
    for name in sorted(DOCUMENTED):
        value: Any = _resolve(name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for attribute, found in vars(value).items():
                method = getattr(found, "__func__", found)
                if inspect.isfunction(method) and not attribute.startswith("_"):
                    yield f"{name}.{attribute}", method


@pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*each, id=each[0]) for each in _callables()]
)
def test_docstring_of_a_public_function_describes_each_parameter(
    name: str, function: Callable[..., object]
) -> None:
    described = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters.keys() - {"self", "cls"}
    # The first sentence describes an only parameter.
    several = parameters if len(parameters) > 1 else ()

    missing = {
        parameter
        for parameter in several
        if not re.search(rf"^ +{parameter}: |`{parameter}[`(=]", described, re.MULTILINE)
    }
    assert not missing, f"{name} does not describe {missing}"
