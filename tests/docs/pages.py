"""The code blocks of a page of documentation, and how they are run.

A page is read from the top, in a folder of its own. Python is executed where it stands, with
top-level `await`; all blocks of a page share their names. A block with a caption is a file of that
name. In a `console` block every `$` line is a command, followed by what it prints; a `text` block
after Python is what that prints. `...` stands for anything.
"""

import ast
import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST = ROOT / "docs" / "index.md"
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))

# Read, not run: what is sent, what is written, and pictures of letters.
SHOWN = frozenset({"json", "toml", "csv", "yaml", "sql"})
RUN = frozenset({"python", "console", "text"})

_FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<info>.*)$")
_OPTION = re.compile(r"^:(?P<name>[\w-]+):\s*(?P<value>.*)$")


@frozen
class Block:
    """A fenced block: the line it begins at, its language, its caption if any, and what it says."""

    line: int
    language: str
    caption: str | None
    text: str

    @property
    def code(self) -> CodeType:
        """Compile it, so that an error shows the page's own lines."""
        padded = "\n" * self.line + self.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return compile(padded, "a page", "exec", flags=flags, dont_inherit=True)

    @property
    def commands(self) -> Iterator[tuple[str, str]]:
        """Return every command with what it should print."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, printed = re.sub(r"\\\n\s*", "", part).partition("\n")
            yield command, printed


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of a page, in order; directives other than code are no blocks."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        found = _FENCE.match(line)
        if found is None or not found["fence"].startswith("`"):
            continue
        inside: list[str] = []
        for _, further in lines:
            if further == found["fence"]:
                break
            inside.append(further)
        language = found["info"].strip()
        caption = None
        if language.startswith("{"):
            directive, _, language = language.partition(" ")
            if directive != "{code-block}":
                continue
            while inside and (option := _OPTION.match(inside[0])):
                caption = option["value"] if option["name"] == "caption" else caption
                del inside[0]
        yield Block(number, language, caption, "\n".join(inside).strip("\n") + "\n")


def prints(wanted: str, got: str) -> bool:
    """Tell whether something was printed as shown; `...` is anything, and blanks are one."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(wanted, got, flags)
