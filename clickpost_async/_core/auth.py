"""Adds the secrets at the last moment, below everything that logs, raises or is shown."""

import inspect
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from clickpost_async._codec.endpoint import Auth
from clickpost_async._http.signature import PLACEHOLDER, Signature
from clickpost_async.errors import FailureKind, NotSentError
from clickpost_async.settings import Credentials, Secret, white_space_in

# What is spelt alike everywhere, as ClickPost's own keys are.
_plain = re.compile(r"[\w.~-]+", re.ASCII).fullmatch

# ClickPost's keys have 36 characters.
_SHORTEST_KEY = 8


class Authenticator:
    """The credentials, and where each endpoint wants them."""

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
        """Return the key that is valid now; a callable is asked each time."""
        source = self._credentials.key
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
        # Outside the `except` block: whatever failed there may have seen the key.
        problem = failure or _key_problem(found)
        if problem is None and isinstance(found, str):
            return Secret(found)
        # A vault that did not answer may do so next time; a key that cannot be one stays so.
        message = f"the key could not be read: {problem}"
        kind = FailureKind.KEY_UNAVAILABLE if failure else FailureKind.NOT_SENDABLE
        raise NotSentError(message, transient=bool(failure), kind=kind)

    def sign(
        self, target: str, body: bytes | None, auth: Auth, key: Secret
    ) -> tuple[str, bytes | None, Signature | None]:
        """Add the credentials where `auth` wants them.

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
        """Take the key out of an answer that echoes it, as `meta.next` does.

        A key that is a mere word, as in tests, is only looked for where a URL has it: anywhere else
        it would be a word.
        """
        for spelling in _spellings(key.reveal()):
            if len(spelling) < _SHORTEST_KEY:
                body = body.replace(b"key=" + spelling, b"key=***")
            elif spelling in body:
                body = body.replace(spelling, b"***")
        return body


def _key_problem(found: object) -> str | None:
    if not isinstance(found, str) or not found:
        return "it is not a string, or empty"
    problem = white_space_in(found)
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
    """Put the key first in a JSON object, where the old registration wants it.

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
