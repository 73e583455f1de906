"""The list of mutants is up to date; `nox -s mutants` runs it."""

import ast
from collections import Counter
from functools import lru_cache

import pytest

from tests.mutants.catalogue import ROOT, Mutant, StaleMutantError, load

MUTANTS = load()


@lru_cache(maxsize=2)
def meaning(source: str) -> str:
    """Return what is left of a source without its format and comments."""
    return ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}: {mutant.title}")
def test_mutant_applies_to_its_module(mutant: Mutant) -> None:
    source = (ROOT / mutant.module).read_text("utf-8")
    changed = mutant.apply(source)

    assert changed != source
    if mutant.module.endswith(".py"):
        assert meaning(changed) != meaning(source)


@pytest.mark.parametrize("test", sorted({test for mutant in MUTANTS for test in mutant.tests}))
def test_tests_of_a_mutant_exist(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}" in (ROOT / path).read_text("utf-8")


def test_no_mutant_is_listed_twice() -> None:
    changes = Counter((mutant.module, mutant.title) for mutant in MUTANTS)
    assert [change for change, count in changes.items() if count > 1] == []


def mutant_of(old: str, new: str) -> Mutant:
    return Mutant(module="m.py", tests=(), old=old, new=new, harm="none")


def test_snippet_is_found_however_it_is_formatted() -> None:
    mutant = mutant_of("return f(first, second)", "return f(second, first)")
    source = "def g():\n    return f(\n        first,\n        second,\n    )\n"
    assert mutant.apply(source) == "def g():\n    return f(second, first)\n"


def test_snippet_matches_whole_words() -> None:
    mutant = mutant_of("if a", "if not a")
    assert mutant.apply("elif a: if ab: if a:") == "elif a: if ab: if not a:"


def test_replacement_of_several_lines_takes_over_the_indentation() -> None:
    mutant = mutant_of("first()\nsecond()", "second()\nfirst()")
    source = "def g():\n    first()\n    second()\n"
    assert mutant.apply(source) == "def g():\n    second()\n    first()\n"


@pytest.mark.parametrize("source", ["", "x = 1\ny = 1\nx = 1\n"])
def test_snippet_that_is_missing_or_ambiguous_is_refused(source: str) -> None:
    with pytest.raises(StaleMutantError, match="not 1"):
        mutant_of("x = 1", "x = 2").apply(source)
