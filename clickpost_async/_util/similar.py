"""Suggests known names for a misspelt one."""

import re
from collections.abc import Iterable, Sequence

# Below this similarity a suggestion is more often wrong than right.
LIKENESS = 0.86


def fold(name: str) -> str:
    """Return a name for comparison: lower case, with one `_` between words."""
    return re.sub(r"[\s_-]+", "_", name.lower()).strip("_")


def similar(name: str, known: Iterable[str], *, likeness: float = LIKENESS) -> Sequence[str]:
    """Return the known names that are similar to one, most similar first, at most five.

    Case, and how words are separated, make no difference; `likeness` is between 0 and 1, which is
    the same name.
    """
    import difflib  # slow to import, and needed for mistakes only

    by_folded = {fold(each): each for each in known}
    found = difflib.get_close_matches(fold(name), by_folded, n=5, cutoff=likeness)
    return [by_folded[each] for each in found]
