"""Adds the credentials when an attempt is sent: code that logs or raises never handles them."""

import inspect
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Never
from urllib.parse import quote, quote_plus

from attrs import field, frozen

from clickpost_async._codec.endpoint import Auth
from clickpost_async._http.signature import PLACEHOLDER, Signature
from clickpost_async.errors import FailureKind, NotSentError
from clickpost_async.settings import white_space_in

KeySource = Callable[[], str | Awaitable[str]]

# What is spelt alike everywhere, as ClickPost's own keys are.
_plain = re.compile(r"[\w.~-]+", re.ASCII).fullmatch

# ClickPost's keys have 36 characters.
_MIN_KEY_LENGTH = 8

_MAX_LENGTH = 100  # "username", "key": max 100, ClickPost's OpenAPI export
_PRINTABLE = f"1 to {_MAX_LENGTH} printable characters"

_USERNAME = "CLICKPOST_USERNAME"
API_KEY_VARIABLES = ("CLICKPOST_API_KEY", "CLICKPOST_KEY")

_is_uuid = re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE).fullmatch


class Secret:
    """A string that only `reveal()` returns: no repr, format, pickle or copy shows it."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        def reveal() -> str:
            return value

        # A closure, because a plain attribute is found by vars(), asdict() and debuggers' tables.
        self._reveal = reveal

    def reveal(self) -> str:
        """Return the string itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __reduce__(self) -> Never:
        message = "a secret is not pickled; read it again where it is needed"
        raise TypeError(message)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self


@frozen
class Credentials:
    """A merchant's username and API key, or a callable that returns the key that is valid now."""

    username: str
    api_key: Secret | KeySource = field(repr=lambda _: "…")


def resolve_credentials(username: str | None, api_key: str | KeySource | None) -> Credentials:
    """Check the username and the API key of a client; what is `None` comes from the environment.

    Raises:
        TypeError: One of them is not a string, or for the key, a callable.
        ValueError: One of them is missing or malformed; the message never shows the key.

    """
    username, username_from = (username, "username") if username is not None else _username()
    key, key_from = (api_key, "api_key") if api_key is not None else _api_key()
    missing = [
        f"{name} is missing: pass ClickPost({name}=...) or set {variable}"
        for name, variable, value in (
            ("username", _USERNAME, username),
            ("api_key", API_KEY_VARIABLES[0], key),
        )
        if value is None
    ]
    if missing:
        raise ValueError("; ".join(missing))
    _check_text(username_from, username, "the username of your ClickPost account")
    assert isinstance(username, str)  # noqa: S101 - checked above
    if not callable(key):
        _check_text(key_from, key, "the API key from ClickPost's dashboard, or a callable")
        assert isinstance(key, str)  # noqa: S101 - checked above
    if _is_uuid(username) and not (isinstance(key, str) and _is_uuid(key)):
        message = (
            f"{username_from} looks like an API key (a UUID): username and api_key may be swapped;"
            " write ClickPost(username=..., api_key=...)"
        )
        raise ValueError(message)
    return Credentials(username, key if callable(key) else Secret(key))


def _username() -> tuple[str | None, str]:
    return os.environ.get(_USERNAME) or None, _USERNAME


def _api_key() -> tuple[str | None, str]:
    for name in API_KEY_VARIABLES:
        if value := os.environ.get(name):
            return value, name
    return None, API_KEY_VARIABLES[0]


def _check_text(name: str, value: object, meaning: str) -> None:
    """Raise an error that does not show the value, if it cannot be a username or a key."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {meaning}; got {type(value).__name__}")
    problem = white_space_in(value)
    if problem is not None and value.strip():
        raise ValueError(f"{name} {problem}")
    if not value.strip() or not _is_printable(value):
        raise ValueError(f"{name} must be {meaning}: {_PRINTABLE}")


def _is_printable(value: str) -> bool:
    return value.isprintable() and 1 <= len(value) <= _MAX_LENGTH


class Authenticator:
    """The credentials, and how they are added to a request."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._last: tuple[Secret | None, Signature | None] = None, None
        username = quote(credentials.username, safe="")
        self._before_key = {
            Auth.USERNAME_AND_KEY: f"username={username}&",
            Auth.USER_NAME_AND_KEY: f"user_name={username}&",
            Auth.KEY: "",
        }

    async def key(self) -> Secret:
        """Return the key that is valid now; a callable is called each time."""
        source = self._credentials.api_key
        if isinstance(source, Secret):
            return source
        found: object = None
        failure = ""
        try:
            found = source()
            if inspect.isawaitable(found):
                found = await found
        except Exception as error:  # noqa: BLE001 - it is the caller's own code
            failure = type(error).__name__
        # Outside the `except` block: the frames of what failed there may hold the key.
        problem = failure or _key_problem(found)
        if problem is None and isinstance(found, str):
            return Secret(found)
        # A secret store that failed may recover; a malformed key stays malformed.
        message = f"the key could not be read: {problem}"
        kind = FailureKind.KEY_UNAVAILABLE if failure else FailureKind.NOT_SENDABLE
        raise NotSentError(message, transient=bool(failure), kind=kind)

    def sign(
        self, target: str, body: bytes | None, auth: Auth, key: Secret
    ) -> tuple[str, bytes | None, Signature | None]:
        """Add the credentials in the place that `auth` names.

        Returns target and body with a placeholder for the key, and the signature that replaces it.
        """
        if auth is Auth.NONE:
            return target, body, None
        if auth is Auth.KEY_IN_BODY:
            return target, *_with_key(body, key)
        known, signature = self._last
        if known is not key:
            text = key.reveal()
            written = text if _plain(text) else quote(text, safe="")
            signature = Signature(f"key={PLACEHOLDER}", f"key={written}", in_body=False)
            self._last = key, signature
        joint = "&" if "?" in target else "?"
        return f"{target}{joint}{self._before_key[auth]}key={PLACEHOLDER}", body, signature

    def redact_key(self, body: bytes, key: Secret) -> bytes:
        """Remove the key from a response that echoes it, as `meta.next` does.

        A key that is a plain word, as in tests, is only redacted where a URL has it: elsewhere it
        may be ordinary text.
        """
        for spelling in _spellings(key.reveal()):
            if len(spelling) < _MIN_KEY_LENGTH:
                body = body.replace(b"key=" + spelling, b"key=***")
            elif spelling in body:
                body = body.replace(spelling, b"***")
        return body


def _key_problem(found: object) -> str | None:
    if not isinstance(found, str) or not found:
        return "it is not a string, or empty"
    problem = white_space_in(found)
    if problem is None and not _is_printable(found):
        problem = f"must be {_PRINTABLE}"
    return problem and f"it {problem}"


def _spellings(key: str) -> Iterable[bytes]:
    """Return how URLs and JSON may spell a key; most keys have one spelling only."""
    if _plain(key):
        return (key.encode(),)
    quoted = {key, quote(key), quote(key, safe=""), quote_plus(key)}
    quoted |= {re.sub("%..", lambda code: code[0].lower(), text) for text in quoted - {key}}
    written = {
        json.dumps(text, ensure_ascii=plain)[1:-1] for text in quoted for plain in (True, False)
    }
    written |= {text.replace("/", "\\/") for text in written}
    return {text.encode() for text in quoted | written}


def _with_key(body: bytes | None, key: Secret) -> tuple[bytes, Signature]:
    """Put the key first in a JSON object, as the old registration requires.

    ClickPost's own example has a key in the payload: the client's takes its place. Blanks make
    placeholder and key as long as each other, for the body's length is in the head.
    """
    fields = json.loads(body or b"{}")
    fields.pop("key", None)
    rest = _compact(fields).encode()
    marked, signed = (f'{{"key":{_compact(text)}' for text in (PLACEHOLDER, key.reveal()))
    longer = len(signed.encode()) - len(marked.encode())
    marked, signed = marked + " " * longer, signed + " " * -longer
    joint = b"," if fields else b""
    return marked.encode() + joint + rest[1:], Signature(marked, signed, in_body=True)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
