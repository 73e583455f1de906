"""Keeps the API key out of a request until its bytes are written.

HTTP libraries pass their requests to tracers, error trackers, event hooks and recorders. So their
requests have a placeholder in place of the key, and the connection replaces it.
"""

from collections.abc import Callable

PLACEHOLDER = "REDACTED"


class Signature:
    """The place of the key in a request, and the bytes that are sent there.

    With `in_body` the body begins with the placeholder, which is as long as its replacement;
    otherwise the target ends with it. It is searched for nowhere else, so user data that looks like
    it is not changed.
    """

    __slots__ = ("_found", "_in_body", "_marked", "_signed")

    def __init__(self, marked: str, signed: str, *, in_body: bool) -> None:
        before, after = ("\r\n\r\n", "") if in_body else ("", " HTTP/1.1\r\n")
        self._in_body = in_body
        self._marked, self._found = marked.encode(), f"{before}{marked}{after}".encode()
        self._signed = _hidden(signed.encode(), f"{before}{signed}{after}".encode())

    def sign_target(self, target: bytes) -> bytes:
        """Return a target, in origin or absolute form, with the key in it."""
        if self._in_body or not target.endswith(self._marked):
            return target
        return target[: -len(self._marked)] + self._signed()[0]

    def sign_body(self, body: bytes) -> bytes:
        """Return a body with the key in it; its length does not change."""
        if not self._in_body or not body.startswith(self._marked):
            return body
        return self._signed()[0] + body[len(self._marked) :]

    def sign_bytes(self, data: bytes) -> bytes | None:
        """Return the bytes of an HTTP/1.1 request with the key in them.

        `data` is the beginning of the request; returns `None` if more of it is needed.
        """
        # Neither a target nor JSON contains a line break, so this matches only in its place.
        if self._found in data:
            return data.replace(self._found, self._signed()[1], 1)
        _, found, body = data.partition(b"\r\n\r\n")
        if not found or (self._in_body and len(body) < len(self._marked)):
            return None
        return data  # a hook or transport has removed the placeholder


def _hidden(*values: bytes) -> Callable[[], tuple[bytes, ...]]:
    """Keep the key where no `repr`, `vars` or debugger's table shows it."""
    return lambda: values
