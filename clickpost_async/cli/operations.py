"""A command for every operation of the namespaces, made from its signature."""

import inspect
import json
import operator
import sys
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from clickpost_async.cli.account import client
from clickpost_async.cli.messages import print_message
from clickpost_async.cli.output import failed, show
from clickpost_async.endpoints import CATALOG
from clickpost_async.errors import ClickPostError
from clickpost_async.structures import ResponseModel

Operation = Callable[..., Awaitable[ResponseModel | Path]]

_PLAIN: tuple[Any, ...] = (str, int, bool, float, date, datetime)

_JSON_FILE = Annotated[str, Parameter(help="A JSON file; - reads standard input.")]

# Help for parameters that the docstring of their operation leaves to the name.
_USUAL_HELP = {
    "account_code": "The account with the courier, as `couriers accounts` lists it.",
    "active": "List only accounts that are active, or only others.",
    "courier_partner": "The courier's id, as `couriers accounts` lists it.",
    "disabled": "Disable the messages, or enable them again.",
    "end": "The last day, such as 2026-01-31.",
    "hour": "When the hour begins, with a time zone: 2026-01-31T18:00+05:30.",
    "pincode": "Six digits, such as 110001.",
    "reference_number": "The merchant's number of the order.",
    "start": "The first day, such as 2026-01-01.",
    "username": "The name of a user of ClickPost's dashboard; the password is prompted for.",
    "waybill": "The courier's number of the parcel.",
}
# Help for parameters whose docstring names the responses of other operations.
_TEXT_HELP = {
    "label": "The URL of a label, as `labels fetch` prints it.",
    "reference": "The number that `reports request` printed.",
    "report": "The URL of a report, as `reports wait` prints it.",
}


def namespace_apps() -> list[App]:
    """Return the commands: one for each namespace, with one for each of its operations."""
    return [_namespace_app(name) for name in dict.fromkeys(name.split(".")[0] for name in CATALOG)]


def _namespace_app(name: str) -> App:
    module = import_module(f"clickpost_async.endpoints.{name}")
    app = App(name=name, help=module.__doc__)
    for method, operation in vars(getattr(module, name.title())).items():
        if inspect.iscoroutinefunction(operation) and not method.startswith("_"):
            app.command(_command(name, method, operation), name=method.replace("_", "-"))
    return app


def _command(namespace: str, method: str, operation: Operation) -> Callable[..., Awaitable[int]]:
    hints = typing.get_type_hints(operation)
    text = _help(operation)
    _, *parameters = inspect.signature(operation).parameters.values()
    options = {
        parameter.name: parameter.replace(annotation=kind)
        for parameter in parameters
        if (kind := _kind(hints[parameter.name])) is not None and parameter.name != "password"
    }
    for name, parameter in options.items():
        known = _TEXT_HELP if f" {name}: " in text else _USUAL_HELP
        if name in known and parameter.annotation is not _JSON_FILE:
            kind = Annotated[parameter.annotation, Parameter(help=known[name])]
            options[name] = parameter.replace(annotation=kind)
    signature = inspect.Signature(list(options.values()))
    reads = {name for name, parameter in options.items() if parameter.annotation is _JSON_FILE}

    async def command(*args: Any, **kwargs: Any) -> int:
        bound = signature.bind(*args, **kwargs)
        values = {
            name: _read_json(value) if name in reads else value
            for name, value in bound.arguments.items()
        }
        if "password" in hints:
            values["password"] = _password()
        return await _run(namespace, method, values)

    command.__name__ = method
    command.__doc__ = text
    command.__signature__ = signature  # type: ignore[attr-defined]  # as functools.wraps does
    command.__annotations__ = {name: parameter.annotation for name, parameter in options.items()}
    return command


def _help(operation: Operation) -> str:
    """Return the summary of an operation, and what it says about its parameters."""
    summary, *others = inspect.cleandoc(operation.__doc__ or "").split("\n\n")
    return "\n\n".join([summary, *(text for text in others if text.startswith("Args:"))])


def _kind(hint: Any) -> Any:
    """Return how a parameter is given on a command line, or `None` if it can't be."""
    arms = [arm for arm in _arms(hint) if arm is not types.NoneType]
    if any(arm in _PLAIN for arm in arms) and not any(_is_many(arm) for arm in arms):
        # The response of another operation is a reference too, but none to be typed.
        typed = [arm for arm in _arms(hint) if arm in (*_PLAIN, types.NoneType)]
        return reduce(operator.or_, typed)
    if any(_is_many(arm) and typing.get_args(arm) == (str,) for arm in arms):
        return list[str]
    if any(_is_body(arm) for arm in arms):
        return _JSON_FILE
    return None


def _arms(hint: Any) -> Sequence[Any]:
    origin = typing.get_origin(hint)
    return typing.get_args(hint) if origin in (typing.Union, types.UnionType) else (hint,)


def _is_many(kind: Any) -> bool:
    return typing.get_origin(kind) in (Iterable, Sequence, list)


def _is_body(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    return origin in (Mapping, Sequence) or hasattr(kind, "__attrs_attrs__")


def _read_json(file: str) -> Any:
    try:
        # Bytes: not in the code page of Windows, and with the byte order mark of its editors.
        return json.loads(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        raise SystemExit(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise SystemExit(f"{file}: not JSON: {error}") from None


def _password() -> str:
    import getpass
    import os

    return os.environ.get("CLICKPOST_PASSWORD") or getpass.getpass("password: ")


async def _run(namespace: str, method: str, values: Mapping[str, Any]) -> int:
    async with client() as clickpost:
        operation = getattr(getattr(clickpost, namespace), method)
        try:
            response = await partial(operation, **values)()
        except ClickPostError as error:
            return failed(error)
        except OSError as error:
            # The error of a download names a temporary file.
            print_message(f"{values.get('path')}: {error.strerror}")
            return 1
    show(str(response) if isinstance(response, Path) else response)
    return 0
