"""The plugin that pytest loads by its entry point: the fixture `clickpost_sandbox`.

pytest imports it in every project of the environment, so it imports nothing of the package before
a test asks for the fixture, and changes no test that does not.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clickpost_async.sandbox import Sandbox


@pytest.fixture
def clickpost_sandbox(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Sandbox]":
    """Serve a new sandbox for a test, deterministic by seed 0.

    Its address, username and key are set in the environment, where `ClickPost()`, other processes
    and the command line read them.
    """
    from clickpost_async.sandbox import Sandbox
    from clickpost_async.testing import reset

    reset()
    sandbox = Sandbox()
    sandbox.start()
    monkeypatch.setenv("CLICKPOST_BASE_URL", sandbox.base_url)
    monkeypatch.setenv("CLICKPOST_USERNAME", sandbox.username)
    monkeypatch.setenv("CLICKPOST_API_KEY", sandbox.api_key)
    try:
        yield sandbox
    finally:
        sandbox.close()
        reset()
