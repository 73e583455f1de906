"""Hooks for PyInstaller, which finds them by an entry point."""

from collections.abc import Sequence
from pathlib import Path


def hook_dirs() -> Sequence[str]:
    """Return where the hooks are."""
    return [str(Path(__file__).parent)]
