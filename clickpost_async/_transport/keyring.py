"""Adds the secrets at the last moment, below everything that logs, raises or is shown."""

import inspect
from urllib.parse import quote

from clickpost_async._wire.endpoint import Auth
from clickpost_async.settings import Credentials, Secret


class Keyring:
    """The credentials, and where each endpoint wants them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def key(self) -> Secret:
        """Return the key that is valid now; a callable is asked each time."""
        source = self._credentials.key
        if isinstance(source, Secret):
            return source
        found = source()
        if inspect.isawaitable(found):
            found = await found
        return Secret(found)

    def sign(
        self, target: str, body: bytes | None, auth: Auth, key: Secret
    ) -> tuple[str, bytes | None]:
        """Return the target and body that are sent, with the secrets where `auth` wants them."""
        if auth is Auth.NONE:
            return target, body
        if auth is Auth.KEY_IN_BODY:
            return target, _with_key(body, key)
        written = f"key={quote(key.reveal(), safe='')}"
        names = {Auth.USERNAME_AND_KEY: "username", Auth.USER_NAME_AND_KEY: "user_name"}
        if auth in names:
            username = quote(self._credentials.username, safe="")
            written = f"{names[auth]}={username}&{written}"
        return f"{target}{'&' if '?' in target else '?'}{written}", body

    def scrub(self, body: bytes, key: Secret) -> bytes:
        """Take the key out of an answer that echoes it, as `meta.next` does."""
        plain = key.reveal()
        for spelling in {plain, quote(plain, safe="")}:
            if (found := spelling.encode()) in body:
                body = body.replace(found, b"***")
        return body


def _with_key(body: bytes | None, key: Secret) -> bytes:
    """Put the key first in a JSON object, where the old registration wants it."""
    import json

    rest = (body or b"{}").removeprefix(b"{")
    comma = b"" if rest == b"}" else b","
    return b'{"key":' + json.dumps(key.reveal()).encode() + comma + rest
