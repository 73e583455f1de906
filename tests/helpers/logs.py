"""Reads what the package has logged."""

import logging

import pytest


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the package's records: asyncio or a server may log what an earlier test has left."""
    return [record for record in caplog.records if record.name.startswith("clickpost_async")]
