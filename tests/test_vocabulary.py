"""The package, its tests and benchmarks use the field's standard terms, and so do headings."""

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "clickpost_async"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Without this list of words.
TESTS = sorted({*(ROOT / "tests").rglob("*.py")} - {Path(__file__)})
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# The sandbox's records mirror what the client reads.
MIRRORS = frozenset({"Order", "Scan"})
BANNED_IN_NAMES = frozenset(
    {
        "bell",
        "desk",
        "dialled",
        "doors",
        "era",
        "fate",
        "flights",
        "gate",
        "heard",
        "law",
        "laws",
        "keeping",
        "mailbox",
        "nobody",
        "oracle",
        "said",
        "sick",
        "somebody",
        "storm",
        "stranger",
        "surely",
        "told",
        "whoever",
        "wish",
        "wishes",
    }
)
BANNED_IN_TEST_NAMES = frozenset(
    {"fate", "heard", "nobody", "somebody", "surely", "told", "whoever"}
)
BANNED_IN_SENTENCES = re.compile(
    r"\b(nobody|somebody|whoever|no ?one knows|told|heard|at the door|front door|without a word"
    r"|turned away|did not live|what became of)\b",
    re.IGNORECASE,
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr


def sentences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every text of more than one word: messages, and docstrings too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def words_of(name: str) -> set[str]:
    return set(re.split(r"_|(?<=[a-z])(?=[A-Z])", name.lower()))


def test_class_names_are_unique_in_the_package() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name_of(path))

    assert {name for name, paths in places.items() if len(paths) > 1} == MIRRORS


def test_names_are_standard_terms() -> None:
    assert [
        f"{name_of(path)}:{line}: {name}"
        for path in [*MODULES, *TESTS, *BENCHMARKS]
        for line, name in names(parse(path))
        # "retry storm" is a usual term, and the subject of tests.
        if BANNED_IN_NAMES & words_of(name.replace("retry_storm", ""))
    ] == []


def test_messages_docstrings_and_comments_are_plain() -> None:
    assert [
        f"{name_of(path)}:{line}: {found[0]!r} in {text[:80]!r}"
        for path in [*MODULES, *TESTS, *BENCHMARKS]
        for line, text in (*sentences(parse(path)), *comments(path))
        if (found := BANNED_IN_SENTENCES.search(text))
    ] == []


def test_test_names_begin_with_their_subject() -> None:
    found = [
        name
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in re.findall(
            r"^ *(?:async )?def test_(\w+)", path.read_text("utf-8"), re.MULTILINE
        )
    ]

    assert found
    assert [
        name
        for name in found
        if re.match(r"(?:[a-z]\d\d_)*(?:a|an|the)_", name)
        or BANNED_IN_TEST_NAMES & set(name.split("_"))
    ] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_headings_are_plain(path: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)

    assert headings
    assert [heading for heading in headings if BANNED_IN_SENTENCES.search(heading)] == []
