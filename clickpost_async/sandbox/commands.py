"""Commands: methods of the sandbox that its control API calls over HTTP, with JSON.

A method is declared once, with `@Command`; its parameters, their types and their bounds are those
of its signature. Over HTTP they come from the path, then from the body of a POST or the query of a
GET. The response to an invalid request is 400 or 404 with `{"error": "…"}`.
"""

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, TypeVar

import attrs
from attrs import define, field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clickpost_async.sandbox.http.security import guard
from clickpost_async.structures._constraints import InRange, Pattern
from clickpost_async.structures._schema import check_kind, converter, undecorate

_is_short_number = re.compile(r"[0-9]{1,15}").fullmatch

F = TypeVar("F", bound=Callable[..., object])


# Of parameters without rules of their own. An unpaired surrogate cannot be encoded as UTF-8.
_RULES: Mapping[Any, Sequence[Callable[[Any], str | None]]] = {
    int: [InRange(0, 10**9)],
    str: [
        Pattern.of(
            r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,1000}",
            "must be at most 1000 characters, and no control characters",
        )
    ],
}

Limit = Annotated[int, InRange(1, 1000)]


COMMANDS: list["Command"] = []


@define(eq=False)
class Command:
    """A method of the sandbox that its control API calls; decorates that method.

    `path` is below `/control`, `result` is the name of the method's result in the response, which
    is the whole response without it; `example` is a body, for the documentation.
    """

    path: str
    method: str = field(default="POST", kw_only=True)
    result: str = field(default="", kw_only=True)
    example: str = field(default="", kw_only=True)
    call: Callable[..., object] = field(init=False)

    def __call__(self, call: F) -> F:
        """Declare a method to be the command."""
        self.call = call
        COMMANDS.append(self)
        return call

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters, and what each is annotated with."""
        hints = typing.get_type_hints(self.call, include_extras=True)
        return {name: kind for name, kind in hints.items() if name != "return"}

    def route(self, sandbox: object) -> Route:
        """Return its route, for a sandbox."""

        async def handle(request: Request) -> Response:
            body = await request.body()
            try:
                queried = request.query_params.items()
                query = {name: value for name, value in queried if name in self.parameters}
                given = query if self.method == "GET" else _parsed(body)
                arguments = _arguments(self, given, request.path_params)
                value = as_json(self.call(sandbox, **arguments))
                result = {self.result: value} if self.result else value
                return JSONResponse({} if result is None else result)
            except (LookupError, ValueError) as error:
                status = 404 if isinstance(error, LookupError) else 400
                return JSONResponse({"error": str(error)}, status)

        return Route(f"/control{self.path}", guard(handle), methods=[self.method])


def as_json(value: object) -> object:
    """Return a result as JSON: of a record its `summary`, or else its fields."""
    if attrs.has(type(value)):
        summary = getattr(value, "summary", None)
        return summary if summary is not None else attrs.asdict(value)  # type: ignore[arg-type]
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {name: as_json(part) for name, part in value.items()}
    return value


def _parsed(body: bytes) -> Mapping[str, object]:
    try:
        given = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise ValueError("body is not valid JSON") from None
    if not isinstance(given, dict):
        raise ValueError("body is not a JSON object")  # noqa: TRY004 - a client's mistake
    return given


def _arguments(
    command: Command, given: Mapping[str, object], path: Mapping[str, str]
) -> dict[str, object]:
    """Return the arguments of a command; raises ValueError for invalid ones."""
    kinds, parameters = command.parameters, inspect.signature(command.call).parameters
    *_, last = parameters.values()
    if last.kind is inspect.Parameter.VAR_KEYWORD:
        return {name: _checked(name, value, kinds[last.name]) for name, value in given.items()}
    if not kinds.keys() >= given.keys():
        [unknown, *_] = given.keys() - kinds.keys()
        raise ValueError(f"{unknown[:40]!r} is none of {', '.join(kinds) or 'no parameters'}")
    arguments = {**given, **path}
    return {
        name: _checked(name, arguments.get(name), kind)
        for name, kind in kinds.items()
        if name in arguments or parameters[name].default is inspect.Parameter.empty
    }


def _checked(name: str, value: object, hint: Any) -> object:
    """Return a value as the kind that a parameter is annotated with; raises ValueError."""
    if value is None and NoneType in typing.get_args(hint):
        return None
    kind, rules = undecorate(hint)
    if typing.get_origin(kind) is Iterable:
        kind = Sequence[typing.get_args(kind)]  # type: ignore[misc]  # made at run time
    if kind is int and isinstance(value, str) and _is_short_number(value):
        # A path and a query have digits.
        value = int(value)
    for problem in check_kind(kind, value):
        raise ValueError(f"{name}: {problem.message}")
    for rule in rules or _RULES.get(kind, ()):
        if message := rule(value):
            raise ValueError(f"{name}: {message}")
    return converter(kind)(value)
