"""Restores docstrings that `python -OO` strips: the command line's help is made of them."""

import ast
import inspect
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any


def restore(prefixes: tuple[str, ...]) -> None:
    """Read the docstrings of all loaded modules with such names from their source."""
    for module in _loaded(prefixes):
        try:
            source = inspect.getsource(module)
        except OSError:
            # Packed without its source: the commands are listed without help.
            continue
        # Not ast.parse, which from Python 3.14 strips docstrings too where the interpreter does.
        tree = compile(source, str(module.__file__), "exec", ast.PyCF_ONLY_AST, optimize=0)
        assert isinstance(tree, ast.Module)  # noqa: S101 - narrows what is known of `compile`
        _restore(module, tree)


def _loaded(prefixes: tuple[str, ...]) -> Iterable[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith(prefixes)]


def _restore(
    owner: Any, node: ast.Module | ast.ClassDef | ast.AsyncFunctionDef | ast.FunctionDef
) -> None:
    if owner.__doc__ is None:
        owner.__doc__ = ast.get_docstring(node)
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.AsyncFunctionDef | ast.FunctionDef):
            found = vars(owner).get(inner.name)
            if inspect.isclass(found) or inspect.isfunction(found):
                _restore(found, inner)
