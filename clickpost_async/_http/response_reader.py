"""What comes back, unpacked as it comes, and never more than is bearable."""

import zlib
from collections.abc import Iterable

from clickpost_async.errors import UnreadableReplyError

LARGEST = 2 * 2**20
# What is read of an answer's headers, in the only spelling that is compared.
_READ = {name.encode(): name for name in ("content-encoding", "date", "retry-after")}
_GZIP = ["gzip"], ["x-gzip"]
# Every content coding that IANA lists, but for those that change nothing. Servers also name what is
# none, such as a character set or "none", and the body is as it is.
_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip"}
    | {"x-compress", "x-gzip", "zstd"}
)


class ResponseReader:
    """An answer on its way in: its status, the few headers that are read, and its body."""

    __slots__ = ("_pieces", "_room", "_unpacker", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._room = LARGEST
        self._unpacker: zlib._Decompress | None = None

    def begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Note status and headers; raises where the body is compressed in another way than gzip."""
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
        """Take a piece of the body; raises before it has grown beyond the bearable."""
        unpacker = self._unpacker
        if unpacker is not None:
            chunk = self._decompress(unpacker, chunk)
        self._room -= len(chunk)
        if self._room < 0 or (unpacker is not None and unpacker.unconsumed_tail):
            message = f"the answer is larger than {LARGEST} bytes"
            raise UnreadableReplyError(message, http_status=self.status)
        self._pieces.append(chunk)

    def _decompress(self, unpacker: "zlib._Decompress", chunk: bytes) -> bytes:
        try:
            return unpacker.decompress(chunk, self._room + 1)
        except zlib.error:
            raise self._damaged() from None

    def body(self) -> bytes:
        """Return the body, which has come to its end."""
        body = b"".join(self._pieces)
        if self._unpacker is not None and body and not self._unpacker.eof:
            raise self._damaged()
        return body

    def _damaged(self) -> UnreadableReplyError:
        message = "the answer's gzip is damaged"
        return UnreadableReplyError(message, http_status=self.status)


def codings_of(header: str) -> list[str]:
    """Return by what a body is compressed, from its Content-Encoding header."""
    if not header:
        return []
    named = (name.strip().lower() for name in header.split(","))
    return [name for name in named if name in _CODINGS]
