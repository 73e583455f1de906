"""Serve a sandbox from a process of its own: `python -m clickpost_async.sandbox --port 0`."""

import argparse
from typing import Any

from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.server import main


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m clickpost_async.sandbox", description="Print the address, then serve."
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--path", help="SQLite file that keeps the state; default: memory")
    parser.add_argument("--rate", type=float, help="calls per second before HTTP 429")
    parser.add_argument("--burst", type=int)
    parser.add_argument("--courier-seconds", type=float, default=0.0)
    parser.add_argument("--async-polls", type=int, default=1)
    parser.add_argument("--racy", action="store_true", help="overlapping creates buy two labels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scan-every", type=float, help="seconds a parcel stays at a station")
    parser.add_argument("--page-size", type=int, default=100, help="rows of updated orders a page")
    parser.add_argument("--webhooks-to", metavar="URL", help="of this machine, for every scan")
    parser.add_argument("--webhook-token", help="sent with every webhook")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every response")
    parser.add_argument("--reset", action="store_true", help="drop connections with an RST")
    for fault in Fault:
        parser.add_argument(
            f"--{fault.replace('_', '-')}", type=float, default=0.0, metavar="PROBABILITY"
        )
    return parser.parse_args()


def _serve(given: argparse.Namespace) -> None:
    chances: dict[str, Any] = {fault.value: getattr(given, fault) for fault in Fault}
    main(
        given.port,
        given.path,
        rate=given.rate,
        burst=given.burst,
        courier_seconds=given.courier_seconds,
        async_polls=given.async_polls,
        racy=given.racy,
        seed=given.seed,
        scan_every=given.scan_every,
        page_size=given.page_size,
        webhooks_to=given.webhooks_to,
        webhook_token=given.webhook_token,
        faults=Faults(latency=given.latency, reset=given.reset, seed=given.seed, **chances),
    )


if __name__ == "__main__":
    _serve(_arguments())
