"""The fixed list of mutants: small changes to the code that a test must detect.

The list is in the TOML files beside this module. A mutant replaces a snippet of one module, which
has to occur there exactly once. White space and trailing commas do not count when it is looked for,
so that a snippet survives the formatter.
"""

import re
import textwrap
import tomllib
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

_TOKEN = re.compile(r"\w+|\S")
_CLOSING = frozenset(")]}")


class StaleMutantError(Exception):
    """A snippet that is not in its module exactly once."""


@frozen(kw_only=True)
class Mutant:
    """One change: `old` becomes `new` in the file `module`, and one of `tests` should fail.

    `harm` says what users would suffer. A mutant that no test can notice, since the program does
    the same with it, says why in `equivalent`.
    """

    module: str
    tests: tuple[str, ...]
    old: str
    new: str
    harm: str
    equivalent: str = ""

    @property
    def title(self) -> str:
        """The change on one line."""
        return f"{_on_one_line(self.old)} -> {_on_one_line(self.new) or '(nothing)'}"

    def locate(self, source: str) -> tuple[int, int]:
        """Return where the snippet begins and ends in the module's text."""
        found = [match.span() for match in _pattern(self.old).finditer(source)]
        if len(found) != 1:
            message = f"{self.module}: {_on_one_line(self.old)!r} occurs {len(found)} times, not 1"
            raise StaleMutantError(message)
        return found[0]

    def apply(self, source: str) -> str:
        """Return the module's text with the change."""
        start, end = self.locate(source)
        line = source[source.rfind("\n", 0, start) + 1 : start]
        margin = " " * (len(line) - len(line.lstrip()))
        new = textwrap.dedent(self.new.strip("\n"))
        own_margin = len(new) - len(new.lstrip(" "))
        new = textwrap.indent(new, margin[own_margin:]).removeprefix(margin)
        return source[:start] + new + source[end:]

    def line(self, source: str) -> int:
        """Return the number of the line that changes."""
        return source.count("\n", 0, self.locate(source)[0]) + 1


def load() -> list[Mutant]:
    """Read the list."""
    mutants = []
    for path in sorted(HERE.glob("*.toml")):
        for module in tomllib.loads(path.read_text("utf-8"))["module"]:
            for entry in module["mutant"]:
                tests = entry.pop("tests", module["tests"])
                mutants.append(Mutant(module=module["path"], tests=tuple(tests), **entry))
    return mutants


def _pattern(snippet: str) -> re.Pattern[str]:
    tokens = _TOKEN.findall(snippet)
    parts = [r"\b" if _is_word(tokens[0]) else ""]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        parts.append(re.escape(token))
        if following:
            parts.append(r"\s+" if _is_word(token) and _is_word(following) else r"\s*")
            if following in _CLOSING and token != ",":
                parts.append(r"(?:,\s*)?")
    parts.append(r"\b" if _is_word(tokens[-1]) else "")
    return re.compile("".join(parts))


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _on_one_line(snippet: str) -> str:
    return " ".join(snippet.split())
