"""Writes the README's table of operations, which is made of `CATALOG`.

Run it after adding one: `python -m tests.make_readme_table`.
"""

import re
from pathlib import Path

from clickpost_async.endpoints import CATALOG

README = Path(__file__).resolve().parent.parent / "README.md"
_MARKED = re.compile(r"(<!-- operations -->\n).*?(<!-- /operations -->)", re.DOTALL)


def table() -> str:
    """Return the table, a row for each declaration."""
    rows = [
        "| `clickpost.` | ClickPost's endpoint | sent twice |",
        "| --- | --- | --- |",
    ]
    for name, endpoint in sorted(CATALOG.items()):
        path = f"{endpoint.method} {endpoint.path}"
        rows.append(f"| `{name}` | `{path}` | {endpoint.repeat.value} |")
    return "\n".join(rows) + "\n"


def written(readme: str) -> str:
    """Return a README with the table as it has to be."""
    return _MARKED.sub(lambda found: found[1] + table() + found[2], readme)


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
