"""Serve a sandbox from a process of its own: `python -m clickpost_async.sandbox --port 0`."""

import argparse
from collections.abc import Sequence
from typing import Any, get_args

import attrs

from clickpost_async.sandbox.http.faults import Faults
from clickpost_async.sandbox.sandbox import Sandbox, main
from clickpost_async.sandbox.settings import SandboxSettings

_NO_OPTIONS = ("api_key", "password", "faults", "clock")


def _add_options(
    parser: argparse.ArgumentParser, settings: type, *, without: Sequence[str]
) -> list[str]:
    """Add an option for every setting, with its type and its default; returns their names."""
    names = []
    for setting in attrs.fields(settings):
        if setting.init and setting.name not in without:
            names.append(setting.name)
            kind, *_ = get_args(setting.type) or (setting.type,)
            how: dict[str, Any] = {"action": "store_true"} if kind is bool else {"type": kind}
            option = f"--{setting.name.replace('_', '-')}"
            parser.add_argument(option, default=setting.default, **how)
    return names


def _run() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m clickpost_async.sandbox",
        description="Print the address, then serve. The options are the settings of `Sandbox` and"
        " of `Faults`.",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--webhooks-to", metavar="URL", help="of this machine, for every scan")
    parser.add_argument("--webhook-token", help="sent with every webhook")
    settings = _add_options(parser, SandboxSettings, without=_NO_OPTIONS)
    faults = _add_options(parser, Faults, without=settings)
    given = vars(parser.parse_args())
    sandbox = Sandbox(
        **{name: given[name] for name in settings},
        faults=Faults(seed=given["seed"], **{name: given[name] for name in faults}),
    )
    if given["webhooks_to"]:
        sandbox.webhooks_to(given["webhooks_to"], token=given["webhook_token"])
    main(sandbox, given["port"])


if __name__ == "__main__":
    _run()
