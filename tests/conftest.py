"""For every test: only loopback addresses can be called, and examples have no time limit."""

import gc
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from clickpost_async.testing.fixtures import clickpost_reset  # noqa: F401 - for every test
from tests.helpers.event_loops import (
    pytest_asyncio_loop_factories,  # noqa: F401 - a hook
)
from tests.helpers.postgres_server import postgres_server  # noqa: F401 - a fixture for all
from tests.helpers.programs import left_out
from tests.helpers.redis_server import redis_server  # noqa: F401 - as above

# Machines differ in speed: an example that takes long has not failed.
hypothesis.settings.register_profile(
    "calm", deadline=None, max_examples=40, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("calm")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Name the programs for want of which tests were left out, after all other summaries."""
    yield
    if lines := left_out(terminalreporter.getreports("skipped")):
        terminalreporter.section("left out")
        for line in lines:
            terminalreporter.write_line(line)


def pytest_collection_finish() -> None:
    """Exempt the collected tests, which stay until the end, from every garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def only_own_garbage() -> None:
    """Exempt what earlier modules imported and cached, too: a collection of all takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Refuse every socket and every look-up that leads off this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _looked_up(socket.getaddrinfo))
        yield


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_foreign(address[0])
        return connect(self, address)

    return guarded


def _looked_up(getaddrinfo: Any) -> Any:
    def guarded(host: Any, *rest: Any, **more: Any) -> Any:
        if host:
            _refuse_foreign(host.decode() if isinstance(host, bytes) else host)
        return getaddrinfo(host, *rest, **more)

    return guarded


def _refuse_foreign(host: str) -> None:
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        message = f"a test wants to call {host}; only loopback addresses are allowed"
        raise AssertionError(message)
