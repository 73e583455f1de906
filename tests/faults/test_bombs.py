"""Chapter P, sizes: small responses that unpack to large ones, and large responses.

An order whose response is too large has arrived nevertheless: it is unknown, never rejected.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from clickpost_async import ClickPost, ClickPostError, Outcome, RetryPolicy
from tests.faults.corrupting_transport import outcome_of
from tests.helpers.http_server import PLACED, Peer, Talk, bomb, envelope, gzipped, http, serving
from tests.helpers.server_behaviours import responds_with
from tests.helpers.transports import TRANSPORTS, Transport, on_every_transport
from tests.sandbox.samples import india_order

# A separate process makes the calls and prints its peak memory, since this one holds other things.
# Linux reports the peak memory of a process as VmHWM.
CALLER = """
import asyncio, sys
import httpx
from clickpost_async import ClickPost, ClickPostError, Hosts, RetryPolicy, Timeouts
from clickpost_async.testing import reset
from tests.sandbox.samples import india_order

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

async def ours(url, transport=None):
    async with ClickPost(
        "acme", "not-a-real-key",
        base_url=url,
        retry=RetryPolicy.never(),
        timeouts=Timeouts(total=10),
        transport=transport,
    ) as clickpost:
        while True:
            reset()
            try:
                yield (await clickpost.orders.create(india_order("R-1"))).waybill
            except ClickPostError as error:
                yield f"{type(error).__name__} {error.outcome.value}"

async def plain(url):
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            yield len((await client.post(url)).content)

async def main(calls, url, count):
    counts = calls(url)
    await anext(counts)
    before = peak()
    for _ in range(int(count)):
        print(await anext(counts))
    print(peak() - before)
    await counts.aclose()

callers = {
    "default": ours,
    "httptools": lambda url: ours(url, "httptools"),
    "plain": plain,
}
asyncio.run(main(callers[sys.argv[1]], *sys.argv[2:]))
"""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports VmHWM")


async def called(who: str, *talks: Talk) -> tuple[list[str], int]:
    """Have another process call a server once for each talk; returns what came, and megabytes."""
    served = iter([responds_with(http(PLACED, connection="close")), *talks])

    async def talk(peer: Peer) -> None:
        await next(served)(peer)

    async with serving(talk) as server, asyncio.timeout(30):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CALLER, who, server.url, str(len(talks))),
            cwd=Path(__file__).parents[2],
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    *came, grown = output.decode().splitlines()
    return came, int(grown)


def packed(body: bytes, encoding: str = "gzip") -> Talk:
    return responds_with(http(body, content_encoding=encoding, connection="close"))


def in_pieces(response: bytes, size: int = 1000) -> Talk:
    return responds_with(
        *(response[start : start + size] for start in range(0, len(response), size))
    )


def plainly(body: bytes, length: int | None = None, **headers: Any) -> Talk:
    return responds_with(http(body, length=length, connection="close", **headers))


REFUSED = "UnreadableReplyError unknown"
LOST = "NoReplyError unknown"

BOMBS: dict[str, tuple[Talk, str]] = {
    "1 MB of gzip that is 1 GB": (packed(bomb(1024)), REFUSED),
    "gzip in small pieces": (in_pieces(http(bomb(256), content_encoding="gzip")), REFUSED),
    "gzip in gzip": (packed(gzipped(bomb(64))), REFUSED),
    "gzip in gzip, and it says so": (packed(gzipped(bomb(64)), "gzip, gzip"), REFUSED),
    "brotli": (packed(b"\x0b\x02\x80hey\x03" * 200, "br"), REFUSED),
    "zstd": (packed(b"\x28\xb5\x2f\xfd" * 9_000, "zstd"), REFUSED),
    "deflate": (packed(b"\x78\x9c" * 500, "deflate"), REFUSED),
    "a bomb that does not say so": (plainly(bomb(64)), REFUSED),
    "no gzip at all": (packed(PLACED), REFUSED),
    "gzip that is cut off": (packed(gzipped(PLACED)[:-4]), REFUSED),
    "gzip with a wrong sum": (packed(gzipped(PLACED)[:-8] + b"01234567"), REFUSED),
    "a length that is too long": (plainly(PLACED, len(PLACED) + 9), LOST),
    "a length that is too short": (plainly(PLACED, len(PLACED) - 9), REFUSED),
    "a length of 100 GB": (plainly(PLACED, 100 * 2**30), LOST),
    "two lengths": (plainly(PLACED, **{"Content-Length": "5"}), LOST),
    "a length and chunks": (plainly(PLACED, transfer_encoding="chunked"), LOST),
}


@pytest.mark.fault("P08")
@needs_proc
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.asyncio
async def test_p08_gzip_bomb_takes_at_most_16_megabytes_and_is_not_a_rejection(
    transport: str,
) -> None:
    came, grown = await called(transport, *(talk for talk, _ in BOMBS.values()))

    assert dict(zip(BOMBS, came, strict=True)) == {name: end for name, (_, end) in BOMBS.items()}
    assert grown <= 16


@pytest.mark.fault("P08", control=True)
@needs_proc
@pytest.mark.asyncio
async def test_p08_plain_httpx_unpacks_a_bomb_to_its_end() -> None:
    came, grown = await called("plain", packed(gzipped(bytes(64 * 2**20))))

    assert came == [str(64 * 2**20)]
    assert grown >= 64


@pytest.mark.fault("P08")
@on_every_transport
@pytest.mark.asyncio
async def test_p08_data_after_a_response_is_not_the_next_response(
    transport: Transport,
) -> None:
    stray = envelope(result={"waybill": "W-9", "reference_number": "R-9"})
    second = envelope(result={"waybill": "W-2", "reference_number": "R-2"})

    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(http(PLACED) + http(stray))
        await peer.read()
        await peer.send(http(second))

    async with (
        serving(talk) as server,
        ClickPost(
            "acme",
            "not-a-real-key",
            base_url=server.url,
            retry=RetryPolicy.never(),
            transport=transport,
        ) as clickpost,
    ):
        first = await clickpost.orders.create(india_order("R-1"))
        second_order = await outcome_of(clickpost, "R-2")

    assert first.waybill == "W-1"
    if isinstance(second_order, ClickPostError):
        assert second_order.outcome is Outcome.UNKNOWN
    else:
        assert second_order.waybill == "W-2"


# --- P09 ----------------------------------------------------------------------------------------

BLOCK = b" " * 2**16
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK)
SIZES = {
    "a length of 100 MB": (http(b"", length=100 * 2**20), BLOCK),
    "chunks without end": (CHUNKED, CHUNK),
    "no length, until it closes": (b"HTTP/1.1 200 OK\r\n\r\n", BLOCK),
}


def streaming(head: bytes, block: bytes, sent: list[int], megabytes: int = 100) -> Talk:
    """Answer with a block again and again, and note what was sent."""

    async def talk(peer: Peer) -> None:
        await peer.read()
        await peer.send(head)
        sent.append(0)
        while sent[-1] < megabytes * 2**20:
            await peer.send(block)
            sent[-1] += len(block)

    return talk


@pytest.mark.fault("P09")
@needs_proc
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.asyncio
async def test_p09_response_is_read_up_to_its_size_limit(transport: str) -> None:
    sent: list[int] = []
    came, grown = await called(transport, *(streaming(*size, sent) for size in SIZES.values()))

    assert dict(zip(SIZES, came, strict=True)) == dict.fromkeys(SIZES, REFUSED)
    assert grown <= 16
    # What the operating systems' buffers hold is sent too.
    assert [megabytes for megabytes in sent if megabytes > 50 * 2**20] == []


@pytest.mark.fault("P09", control=True)
@needs_proc
@pytest.mark.asyncio
async def test_p09_plain_httpx_reads_a_response_of_any_size() -> None:
    sent: list[int] = []
    head, block = http(b"", length=100 * 2**20), BLOCK
    came, grown = await called("plain", streaming(head, block, sent))

    assert (came, sent) == ([str(100 * 2**20)], [100 * 2**20])
    assert grown >= 100
