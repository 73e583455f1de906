"""Faults on real sockets are injected over both transports of this package."""

import pytest

from tests.helpers.transports import TRANSPORTS, make_default

_ON_SOCKETS = frozenset({"test_transport", "test_cancelling", "test_protocol"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_sockets = metafunc.definition.get_closest_marker("asyncio") is not None
    if on_sockets and metafunc.definition.path.stem in _ON_SOCKETS:
        metafunc.parametrize("default_transport", TRANSPORTS, indirect=True)


@pytest.fixture(autouse=True)
def default_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give it to the clients that the test's helpers make."""
    name = getattr(request, "param", None)
    if name is not None:
        make_default(TRANSPORTS[name], monkeypatch)
