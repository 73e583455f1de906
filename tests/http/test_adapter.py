"""The seam: what goes over it shows nothing, and what comes back is bounded."""

import gzip
import zlib

import httpcore
import httpx
import httpx2
import pytest

from clickpost_async import UnreadableReplyError
from clickpost_async._http import response_reader
from clickpost_async._http.adapter import BaseURL, HTTPRequest, StepTimeouts
from clickpost_async._http.httpx_exceptions import drop_quoted_payload, failure_of
from clickpost_async._http.response_reader import ResponseReader
from clickpost_async._http.signature import Signature
from clickpost_async.errors import FailureKind
from tests.helpers.scripted_transport import KEY


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.clickpost.in/api", ("https", "www.clickpost.in", 443, "/api")),
        ("https://www.clickpost.in:443", ("https", "www.clickpost.in", 443, "")),
        ("http://localhost:8000/a/b", ("http", "localhost", 8000, "/a/b")),
        ("http://[::1]:8000/api", ("http", "::1", 8000, "/api")),
    ],
)
def test_base_url_is_read_once(url: str, expected: tuple[str, str, int, str]) -> None:
    base = BaseURL.parse(url)

    assert (base.scheme, base.host, base.port, base.path) == expected
    usual = url.partition("://")[2].partition("/")[0].removesuffix(":443")
    assert base.authority == usual


def test_call_shows_neither_its_key_nor_its_body() -> None:
    base = BaseURL.parse("https://acme.example/api")
    signature = Signature("key=REDACTED", f"key={KEY}", in_body=False)
    call = HTTPRequest("POST", base, "/x?key=REDACTED", b"body", StepTimeouts(1, 2, 3), signature)

    assert KEY not in repr(call)
    assert "body'" not in repr(call)
    assert call.signed() == (f"/x?key={KEY}", b"body")


def test_only_three_headers_are_read_and_each_as_a_whole() -> None:
    response = ResponseReader()
    response.begin(
        200, [(b"X-A", b"b"), (b"RETRY-after", b" 7 "), (b"Date", b"x"), (b"date", b"y")]
    )

    assert response.headers == {"retry-after": "7", "date": "x, y"}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_gzipped_response_is_decompressed_from_chunks_of_any_size(size: int) -> None:
    body = bytes(range(256)) * 9
    packed = gzip.compress(body)
    response = ResponseReader()
    response.begin(200, [(b"content-encoding", b"GZip")])
    for start in range(0, len(packed), size):
        response.feed(packed[start : start + size])

    assert response.body() == body


def test_response_may_be_as_large_as_the_limit_and_no_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(response_reader, "MAX_SIZE", 100)
    for headers, pack in (([], bytes), ([(b"content-encoding", b"gzip")], gzip.compress)):
        response = ResponseReader()
        response.begin(200, headers)
        response.feed(pack(b"x" * 100))
        assert response.body() == b"x" * 100

        response = ResponseReader()
        response.begin(200, headers)
        with pytest.raises(UnreadableReplyError, match="larger than 100 bytes"):
            response.feed(pack(b"x" * 101))


PLAIN = ["", "identity", "identity, identity", "none", "UTF-8", "utf8", "8bit", " Identity ,", "x"]


@pytest.mark.parametrize("encoding", PLAIN)
@pytest.mark.parametrize("size", [1, 10_000])
def test_body_that_is_plain_is_read_whatever_its_encoding_claims(encoding: str, size: int) -> None:
    body = b'{"meta": {"status": 200}}'
    response = ResponseReader()
    response.begin(200, [(b"content-encoding", encoding.encode())])
    for start in range(0, len(body), size):
        response.feed(body[start : start + size])

    assert response.body() == body


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "utf-8, compress"]
)
def test_body_that_is_compressed_in_another_way_is_refused(encoding: str) -> None:
    response = ResponseReader()
    with pytest.raises(UnreadableReplyError, match="unexpected Content-Encoding"):
        response.begin(200, [(b"content-encoding", encoding.encode())])


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP, identity", "gzip,", "identity,gzip"])
def test_body_that_is_not_packed_although_it_claims_to_be_is_refused(encoding: str) -> None:
    response = ResponseReader()
    response.begin(200, [(b"content-encoding", encoding.encode())])
    with pytest.raises(UnreadableReplyError, match="gzip data is damaged"):
        response.feed(b'{"meta": {"status": 200}}')


def test_deflated_response_is_refused() -> None:
    response = ResponseReader()
    with pytest.raises(UnreadableReplyError, match="in the response: deflate") as caught:
        response.begin(207, [(b"content-encoding", b"deflate")])

    assert caught.value.http_status == 207
    assert zlib.compress(b"") not in vars(caught.value).values()


class Own(httpx.ConnectTimeout):
    """A user's subclass of httpx's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError(""), FailureKind.NOT_SENT),
        (httpx2.ConnectTimeout(""), FailureKind.NOT_SENT),
        (httpcore.ProxyError(), FailureKind.NOT_SENT),
        (Own(""), FailureKind.NOT_SENT),
        (httpcore.PoolTimeout(), FailureKind.LOCAL_RESOURCES),
        (httpx.InvalidURL(""), FailureKind.NOT_SENDABLE),
        (httpx2.UnsupportedProtocol(""), FailureKind.NOT_SENDABLE),
        (httpcore.LocalProtocolError(), FailureKind.NOT_SENDABLE),
        (httpx2.ReadError(""), FailureKind.NO_RESPONSE),
        (httpcore.WriteTimeout(), FailureKind.NO_RESPONSE),
        (OSError(), FailureKind.UNEXPECTED),
        (RuntimeError(), FailureKind.UNEXPECTED),
    ],
)
def test_family_of_httpx_is_sorted_by_name(error: Exception, expected: FailureKind) -> None:
    assert failure_of(error) is expected


def test_httpcore_log_of_a_step_omits_the_reason_phrase() -> None:
    facts = {"return_value": (b"Location", KEY), "exception": ValueError(KEY), "timeout": 5}
    drop_quoted_payload(facts)

    assert facts == {"exception": "ValueError", "timeout": 5}
