"""The pytest plugin of runs on a mutated copy of the tree."""

import importlib.util
from pathlib import Path

import hypothesis
import pytest


def pytest_configure(config: pytest.Config) -> None:
    # The same examples each time, and no time spent on finding a smaller one.
    hypothesis.settings.register_profile(
        "mutants",
        hypothesis.settings(),
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutants")
    package = importlib.util.find_spec("clickpost_async")
    if package is None or Path.cwd() not in Path(package.origin or "").parents:
        pytest.exit("clickpost_async would be imported from outside of this copy", returncode=4)
