"""Reads and decompresses a response up to a size limit."""

import zlib
from collections.abc import Iterable

from clickpost_async.errors import UnreadableReplyError

MAX_SIZE = 2 * 2**20
# The response headers that are read, by their lower-case names.
_READ = {name.encode(): name for name in ("content-encoding", "date", "retry-after")}
_GZIP = ["gzip"], ["x-gzip"]
# Every content coding that IANA lists, except those that change nothing. Servers also send other
# values, such as a character set or "none", with a body that is not encoded.
_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip"}
    | {"x-compress", "x-gzip", "zstd"}
)


class ResponseReader:
    """A response while it is received: its status, the headers that are read, and its body."""

    __slots__ = ("_pieces", "_room", "_unpacker", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._room = MAX_SIZE
        self._unpacker: zlib._Decompress | None = None

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Record status and headers.

        Raises:
            UnreadableReplyError: The body has a content coding other than gzip.

        """
        self.status = status
        found = self.headers
        for name, value in headers:
            read = _READ.get(name.lower())
            if read is not None:
                text = value.decode("latin-1").strip()
                found[read] = f"{found[read]}, {text}" if read in found else text
        codings = codings_of(found.get("content-encoding", ""))
        if codings in _GZIP:
            self._unpacker = zlib.decompressobj(31)
        elif codings:
            message = f"unexpected Content-Encoding in the response: {', '.join(codings)}"
            raise UnreadableReplyError(message, http_status=status)

    def feed(self, chunk: bytes) -> None:
        """Add a piece of the body, decompressed.

        Raises:
            UnreadableReplyError: The body exceeds the size limit, or is not valid gzip.

        """
        unpacker = self._unpacker
        if unpacker is not None:
            chunk = self._decompress(unpacker, chunk)
        self._room -= len(chunk)
        if self._room < 0 or (unpacker is not None and unpacker.unconsumed_tail):
            message = f"the response is larger than {MAX_SIZE} bytes"
            raise UnreadableReplyError(message, http_status=self.status)
        self._pieces.append(chunk)

    def _decompress(self, unpacker: "zlib._Decompress", chunk: bytes) -> bytes:
        try:
            return unpacker.decompress(chunk, self._room + 1)
        except zlib.error:
            raise self._damaged() from None

    def body(self) -> bytes:
        """Return the complete body.

        Raises:
            UnreadableReplyError: The gzip stream is truncated.

        """
        body = b"".join(self._pieces)
        if self._unpacker is not None and body and not self._unpacker.eof:
            raise self._damaged()
        return body

    def _damaged(self) -> UnreadableReplyError:
        message = "the response's gzip data is damaged"
        return UnreadableReplyError(message, http_status=self.status)


def codings_of(header: str) -> list[str]:
    """Return the content codings that a Content-Encoding header names."""
    if not header:
        return []
    named = (name.strip().lower() for name in header.split(","))
    return [name for name in named if name in _CODINGS]
