"""Runs a test over both transports of this package, whichever way its clients are made."""

from typing import Literal

import pytest

from clickpost_async._http.select import adapter_for

Transport = Literal["httptools"] | None
TRANSPORTS: dict[str, Transport] = {"default": None, "httptools": "httptools"}

on_every_transport = pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS)


def make_default(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `transport` to every client of this process that is given none."""
    monkeypatch.setattr(
        "clickpost_async.client.adapter_for",
        lambda given: adapter_for(transport if given is None else given),
    )
