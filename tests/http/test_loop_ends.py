"""However an event loop ends, it leaves no descriptor open."""

import asyncio
import gc
import os
import ssl
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
import trustme
from asgiref.sync import async_to_sync

from clickpost_async import Auth, ClickPost, Get, Idempotency, RetryPolicy
from clickpost_async._http import tls
from clickpost_async.structures import ResponseModel
from tests.helpers.descriptors import descriptors, needs_descriptors_listed
from tests.helpers.event_loops import EVERY_LOOP, LoopFactory
from tests.helpers.scripted_transport import KEY

pytestmark = needs_descriptors_listed

QUESTION = Get("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=Auth.KEY)
ROUNDS = 60

SERVER = """
import asyncio, ssl, sys

async def connected(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            body = b'{"meta": {"status": 200, "message": "SUCCESS", "success": true}}'
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
    except (OSError, asyncio.IncompleteReadError):
        writer.close()

async def main():
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def serve(*arguments: str) -> Iterator[int]:
    """Run a server in a process of its own, so that its descriptors are not counted with ours."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def plain_url() -> Iterator[str]:
    for port in serve():
        yield f"http://127.0.0.1:{port}/api"


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    authority = trustme.CA()
    certificate = tmp_path_factory.mktemp("tls") / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tls, "verifying_context", lambda: trusting)
        for port in serve(str(certificate)):
            yield f"https://127.0.0.1:{port}/api"


Transport = Literal["httptools"] | None
every_transport_of_ours = pytest.mark.parametrize("transport", [None, "httptools"])


def client(url: str, transport: Transport = None) -> ClickPost:
    return ClickPost(
        "acme",
        KEY,
        base_url=url,
        retry=RetryPolicy.never(),
        max_concurrency=2,
        transport=transport,
    )


async def ask(clickpost: ClickPost) -> None:
    """Leave idle connections."""
    await asyncio.gather(*(clickpost.get(QUESTION) for _ in range(4)))


def closed_by_hand(clickpost: ClickPost, new_loop: LoopFactory) -> None:
    loop = new_loop()
    loop.run_until_complete(ask(clickpost))
    with warnings.catch_warnings():
        if not isinstance(loop, asyncio.BaseEventLoop):
            # uvloop closes sockets with the loop, warns of each, and hangs where that is an error.
            warnings.simplefilter("ignore", ResourceWarning)
        loop.close()


def run(clickpost: ClickPost, new_loop: LoopFactory) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ask(clickpost))


def called_from_a_thread(clickpost: ClickPost, new_loop: LoopFactory) -> None:
    thread = threading.Thread(target=async_to_sync(ask), args=(clickpost,))
    thread.start()
    thread.join()


def closed_by_hand_in_a_thread(clickpost: ClickPost, new_loop: LoopFactory) -> None:
    thread = threading.Thread(target=closed_by_hand, args=(clickpost, new_loop))
    thread.start()
    thread.join()


ENDS: dict[str, Callable[[ClickPost, LoopFactory], None]] = {
    function.__name__: function
    for function in (closed_by_hand, run, called_from_a_thread, closed_by_hand_in_a_thread)
}


def covering() -> Iterator[tuple[str, LoopFactory, str, Transport]]:
    """Yield rows in which each end meets each loop, URL and transport, and those each other."""
    kinds, urls, transports = [*EVERY_LOOP.values()], ("plain_url", "tls_url"), (None, "httptools")
    for number, end in enumerate(ENDS):
        for loop, url, transport in (
            (0, number // 2, number % 2),
            (1, 1 - number // 2, 1 - number % 2),
        ):
            yield end, kinds[loop % len(kinds)], urls[url], transports[transport]


@pytest.mark.parametrize(("end", "new_loop", "url", "transport"), [*covering()])
def test_event_loops_leave_no_descriptor(
    end: str, new_loop: LoopFactory, url: str, transport: Transport, request: pytest.FixtureRequest
) -> None:
    loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def new() -> asyncio.AbstractEventLoop:
        loop = new_loop()
        loops.add(loop)
        return loop

    clickpost = client(request.getfixturevalue(url), transport)
    ENDS[end](clickpost, new)
    before = descriptors()
    gc.collect()
    gc.disable()  # what is closed must not wait for the garbage collector
    try:
        grown = 0
        for _ in range(ROUNDS):
            ENDS[end](clickpost, new)
            grown = max(grown, descriptors() - before)
    finally:
        gc.enable()
    gc.collect()
    # The last loop's are closed when the next one is used, or the client is closed.
    assert (grown <= 2, len(loops) <= 1) == (True, True), (grown, len(loops))
    asyncio.run(clickpost.aclose())
    gc.collect()
    assert len(loops) == 0


MIDDLE = """
import asyncio, gc, sys
from tests.helpers.descriptors import descriptors
from tests.http.test_loop_ends import QUESTION, ask, client

def stop_while_calls_are_under_way():
    loop = asyncio.new_event_loop()
    calls = [loop.create_task(clickpost.get(QUESTION)) for _ in range(4)]
    loop.run_until_complete(asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED))
    loop.close()

clickpost = client(sys.argv[1], sys.argv[2] or None)
stop_while_calls_are_under_way()
before = descriptors()
for _ in range(30):
    stop_while_calls_are_under_way()
asyncio.run(ask(clickpost))
asyncio.run(clickpost.aclose())
gc.collect()
print(descriptors() - before)
"""


@every_transport_of_ours
def test_event_loop_closed_in_the_middle_of_calls_leaves_no_descriptor(
    plain_url: str, transport: Transport
) -> None:
    # In a process of its own: asyncio complains of pending tasks whenever they are collected.
    done = subprocess.run(
        [sys.executable, "-c", MIDDLE, plain_url, transport or ""],
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    assert int(done.stdout) <= 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests have threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
@every_transport_of_ours
@pytest.mark.parametrize("new_loop", EVERY_LOOP.values(), ids=EVERY_LOOP)
def test_forked_processes_leave_no_descriptor_in_parent_or_child(
    new_loop: LoopFactory, plain_url: str, transport: Transport
) -> None:
    clickpost = client(plain_url, transport)
    closed_by_hand(clickpost, new_loop)
    before = descriptors()

    def in_child() -> int:
        closed_by_hand(clickpost, new_loop)
        first = descriptors()
        for _ in range(5):
            closed_by_hand(clickpost, new_loop)
        return max(0, descriptors() - first - 1)

    for _ in range(8):
        child = os.fork()
        if not child:
            code = 99
            try:
                code = in_child()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        closed_by_hand(clickpost, new_loop)
    assert descriptors() <= before + 1
    asyncio.run(clickpost.aclose())
