"""The key is redacted in logs, errors, tracebacks with locals, and all objects.

The scanner that says so has to find what is planted, in every channel it looks through.
"""

import asyncio
import base64
import contextlib
import functools
import gc
import io
import logging
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from clickpost_async import (
    Auth,
    ClickPost,
    ClickPostError,
    Get,
    Idempotency,
    NotSentError,
    Post,
    RetryPolicy,
    Timeouts,
)
from clickpost_async.structures import ResponseModel
from tests.helpers.http_server import (
    PLACED,
    Peer,
    closed_port,
    envelope,
    gzipped,
    http,
    serving,
    until,
)
from tests.helpers.server_behaviours import FAULTS, hangs, responds_with
from tests.http.test_every_adapter import ADAPTERS, every_adapter
from tests.sandbox.samples import india_order

CANARY = "canary+4f2a/9c=e1d8"


# --- the scanner ------------------------------------------------------------------------------


@functools.cache
def spellings(key: str) -> frozenset[str]:
    raw = key.encode()
    found = {key, quote(key, safe=""), quote(key), quote(key, safe="").lower(), raw.hex()}
    for shift in range(3):
        # Wherever it stands in a longer text, some letters of its base64 are its own.
        whole = base64.b64encode(b"\0" * shift + raw).decode()
        found.add(whole[4 if shift else 0 : len(whole) // 4 * 4 - 4])
    return frozenset(found)


def leaks(text: str) -> bool:
    flat = re.sub(r"\s|\\n|\\r", "", text)
    return any(spelling in flat for spelling in spellings(CANARY))


class Listening(logging.Handler):
    """Keeps all that a log may show of a record, with the locals of its tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The folder of this clone says nothing of the data, but may have a word of it in its name.
        shown = vars(record) | {"pathname": record.filename}
        self.messages += [record.getMessage(), repr(record.args), repr(shown)]
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, OSError) and record.name == "asyncio":
            # In its debug mode asyncio logs the failures of its sockets. Their frames hold what is
            # being written, and there the key has to be.
            self.messages += traceback.format_exception(error)
        elif error:
            self.messages += texts_of(error)


@contextlib.contextmanager
def listening() -> Iterator[Listening]:
    """Set every logger there is to DEBUG, and listen."""
    handler = Listening()
    names = [None, *logging.Logger.manager.loggerDict, "httpcore.http11", "asyncio", "tenacity"]
    names += ["httpcore2.http11", "aiohttp.client", "aiohttp.internal"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled


def family(error: BaseException) -> Iterator[BaseException]:
    """Go through an error, what caused it, what it happened in, and what it groups."""
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
        todo += getattr(one, "exceptions", ())


def texts_of(error: BaseException) -> list[str]:
    """Collect every text of an error."""
    texts: list[str] = []
    for one in family(error):
        texts += [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", []))]
        texts.append(repr(vars(one)) if hasattr(one, "__dict__") else "")
        with contextlib.suppress(Exception):
            texts.append(pickle.dumps(one).decode("latin-1"))
        texts += traceback.TracebackException.from_exception(one, capture_locals=True).format()
    return texts


def shown_by(root: object, *, deep: int = 8) -> list[str]:
    """Write down an object, and all that can be reached from it by attributes and items."""
    shown: list[str] = []
    todo = [(root, deep)]
    seen: set[int] = set()
    while todo:
        one, left = todo.pop()
        if id(one) in seen or not left:
            continue
        seen.add(id(one))
        shown.append(repr(one))
        if isinstance(one, dict):
            todo += [(value, left - 1) for pair in one.items() for value in pair]
        elif isinstance(one, list | tuple | set | frozenset):
            todo += [(value, left - 1) for value in one]
        elif not isinstance(one, type) and not callable(one):
            slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            names = [*getattr(one, "__dict__", {}), *slots]
            todo += [(getattr(one, name), left - 1) for name in names if hasattr(one, name)]
    return shown


def assert_clean(texts: list[str]) -> None:
    assert [text[:2000] for text in texts if leaks(text)] == []


# --- it finds what is planted -----------------------------------------------------------------


def raised(error: BaseException, *, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause  # noqa: TRY301 - it is planted
    except BaseException as caught:  # noqa: BLE001 - that is what it is for
        return caught


def with_a_local() -> BaseException:
    url = f"https://acme.example/?key={quote(CANARY)}"
    try:
        raise ValueError("harmless")  # noqa: TRY301 - it is planted
    except ValueError as error:
        assert url
        return error


def with_a_note() -> BaseException:
    error = ValueError("harmless")
    error.add_note(CANARY)
    return error


def within_another() -> BaseException:
    try:
        raise KeyError(CANARY)  # noqa: TRY301 - it is planted
    except KeyError:
        return raised(ValueError("harmless"))


class Holder:
    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


PLANTED: dict[str, Callable[[], list[str]]] = {
    "as it is": lambda: [f"key={CANARY}&x"],
    "percent-encoded": lambda: [quote(CANARY, safe="")],
    "percent-encoded in part": lambda: [quote(CANARY)],
    "in hexadecimal": lambda: [f"00{CANARY.encode().hex()}ff"],
    **{
        f"in base64, shifted by {shift}": lambda shift=shift: [
            base64.b64encode(b"x" * shift + CANARY.encode() + b"tail").decode()
        ]
        for shift in range(3)
    },
    "over two lines": lambda: [f"{CANARY[:7]}\n   {CANARY[7:]}"],
    "as a repr over two lines": lambda: [repr(f"{CANARY[:7]}\n{CANARY[7:]}")],
    "in bytes": lambda: [repr(CANARY.encode())],
    "in an error": lambda: texts_of(ValueError(CANARY)),
    "in an error's attribute": lambda: texts_of(ClickPostError("no", reference_number=CANARY)),
    "in an error's note": lambda: texts_of(with_a_note()),
    "in an error's cause": lambda: texts_of(raised(ValueError("no"), cause=KeyError(CANARY))),
    "in an error's context": lambda: texts_of(within_another()),
    "in a group of errors": lambda: texts_of(ExceptionGroup("no", [ValueError(CANARY)])),
    "in a frame's local": lambda: texts_of(with_a_local()),
    "in an attribute": lambda: shown_by([{"deep": (Holder(CANARY),)}]),
    "in the name of a task": lambda: [f"<Task name='{CANARY}'>"],
}


@pytest.mark.parametrize("channel", PLANTED)
def test_scanner_finds_what_is_planted(channel: str) -> None:
    assert any(map(leaks, PLANTED[channel]()))


@pytest.mark.parametrize(
    "plant",
    [
        lambda log: log.debug("GET /?key=%s", quote(CANARY)),
        lambda log: log.debug("no words", extra={"url": CANARY}),
        lambda log: log.error("failed", exc_info=ValueError(CANARY)),
        lambda log: log.error("failed", exc_info=with_a_local()),
    ],
)
@pytest.mark.parametrize("name", ["httpcore.http11", "asyncio", "clickpost_async", "anybody"])
def test_scanner_captures_every_log(name: str, plant: Callable[[logging.Logger], None]) -> None:
    with listening() as handler:
        plant(logging.getLogger(name))
    assert any(map(leaks, handler.messages))


@pytest.mark.fault("S05", control=True)
@pytest.mark.asyncio
async def test_plain_client_with_the_key_among_its_params_is_caught() -> None:
    async with serving(responds_with(http(b"", "404 Not Found"))) as server:
        with listening() as handler:
            async with httpx.AsyncClient(params={"key": CANARY}, trust_env=False) as plain:
                try:
                    (await plain.get(server.url)).raise_for_status()
                except httpx.HTTPStatusError as error:
                    texts = texts_of(error)

    assert any(map(leaks, handler.messages))
    assert any(map(leaks, texts))


def test_scanner_finds_nothing_where_there_is_nothing() -> None:
    assert_clean([*texts_of(ValueError("harmless")), *shown_by({"a": Holder("b")}), "canary"])


# --- and finds nothing of ours ----------------------------------------------------------------


def client(url: str, **settings: Any) -> ClickPost:
    settings = {
        "retry": RetryPolicy(attempts=2, backoff=0.001, settle_delay=0.001),
        "timeouts": Timeouts(connect=0.2, read=0.1, create=0.1, total=0.4),
    } | settings
    return ClickPost("acme", CANARY, base_url=url, **settings)


def run_and_collect(main: Callable[[], Any]) -> list[str]:
    """Run in asyncio's debug mode, and return all that is logged and printed."""
    texts: list[str] = []
    printed = io.StringIO()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        texts.append(repr(context))
        loop.default_exception_handler(context)
        if error := context.get("exception"):
            texts.extend(texts_of(error))

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(complain)
        loop.slow_callback_duration = 0.0
        texts.extend(await main())
        gc.collect()
        await asyncio.sleep(0)

    with (
        listening() as handler,
        contextlib.redirect_stderr(printed),
        asyncio.Runner(debug=True) as runner,
    ):
        runner.run(watched())
    assert handler.messages  # without messages the test proves nothing
    return [*texts, *handler.messages, printed.getvalue()]


async def texts_of_call(clickpost: ClickPost) -> list[str]:
    texts: list[str] = []
    try:
        response = await clickpost.orders.create(india_order("R-1"))
    except ClickPostError as error:
        texts += texts_of(error)
    else:
        texts += shown_by(response)
    return [*texts, *shown_by(clickpost), repr(clickpost.stats())]


@pytest.mark.fault("S05")
@every_adapter
@pytest.mark.parametrize("fault", FAULTS)
def test_no_wire_fault_shows_the_key(fault: str, wire: str) -> None:
    async def main() -> list[str]:
        async with (
            serving(FAULTS[fault][0]) as server,
            client(server.url, transport=ADAPTERS[wire]()) as clickpost,
        ):
            return await texts_of_call(clickpost)

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05")
@every_adapter
@pytest.mark.parametrize("auth", Auth)
def test_successful_call_shows_no_key(auth: Auth, wire: str) -> None:
    endpoint = Post("/v9/own/", returns=ResponseModel, idempotency=Idempotency.UNSAFE, auth=auth)

    async def main() -> list[str]:
        seen: list[bytes] = []

        async def talk(peer: Peer) -> None:
            seen.append(await peer.read())
            await peer.send(http(PLACED))
            await peer.until_gone()

        async with (
            serving(talk) as server,
            client(server.url, transport=ADAPTERS[wire]()) as clickpost,
        ):
            response = await clickpost.post(endpoint, {"a": 1})
            # It did travel, where it was wanted.
            assert leaks(seen[0].decode()) is (auth is not Auth.NONE)
            return [*shown_by(response), *shown_by(clickpost)]

    assert_clean(run_and_collect(main))


def echoing(write: Callable[[str], bytes]) -> Callable[[Peer], Any]:
    """Answer with what was asked, the key included, in a place of the test's choice."""

    async def talk(peer: Peer) -> None:
        head = await peer.read()
        await peer.send(write(head.split(b" ")[1].decode()))

    return talk


def damaged(target: str) -> bytes:
    packed = gzipped(envelope(message=target) + b" " * 50_000)
    return http(packed[:-12] + b"x" * 12, content_encoding="gzip")


ECHOES: dict[str, Callable[[str], bytes]] = {
    "in the message": lambda target: http(envelope(307, f"{CANARY} is wrong: {target}")),
    "in a list of messages": lambda target: http(envelope(307, str([CANARY, {"a": target}]))),
    "in meta.next": lambda target: http(
        envelope(result={"waybill": "W-1"}, next=f"http://127.0.0.1{target}&page=2")
    ),
    "in the result": lambda target: http(envelope(result={"waybill": CANARY, "extra": target})),
    "in a page of HTML": lambda target: http(f"<p>{target}</p>".encode()),
    "in a page of an error": lambda target: http(f"<p>{target}</p>".encode(), "500 Oops"),
    "in a detail": lambda target: http(f'{{"detail": "not {CANARY}"}}'.encode(), "403 No"),
    "where it is moved to": lambda target: http(b"", "301 Moved", location=target + "&again"),
    "in a header": lambda target: http(PLACED, x_asked=target),
    "in a cookie": lambda target: http(PLACED, set_cookie=f"{target}={target}; {target}"),
    "in the reason": lambda target: http(envelope(307), f"200 {target}"),
    "in the encoding": lambda target: http(PLACED, content_encoding=CANARY),
    "in Retry-After": lambda target: http(b"", "429 Slow", retry_after=CANARY),
    "in a status line that is none": lambda target: f"HTTP/1.1 {target}\r\n\r\n".encode(),
    "in a header that is none": lambda target: (
        f"HTTP/1.1 200 OK\r\n{target}\r\ncontent-length: 0\r\n\r\n".encode()
    ),
    "in a length that is none": lambda target: http(b"x").replace(b": 1", f": {CANARY}".encode()),
    "in a chunk that is none": lambda target: (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + f"{target}\r\n".encode()
    ),
    "in half a response": lambda target: http(
        f'{{"meta": {{"message": "{target}'.encode(), length=999
    ),
    "in damaged gzip": damaged,
}


@pytest.mark.fault("S06")
@every_adapter
@pytest.mark.parametrize("echo", ECHOES)
def test_response_that_echoes_the_key_does_not_reveal_it(echo: str, wire: str) -> None:
    async def main() -> list[str]:
        async with (
            serving(echoing(ECHOES[echo])) as server,
            client(server.url, transport=ADAPTERS[wire]()) as clickpost,
        ):
            return await texts_of_call(clickpost)

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05", control=True)
def test_httpcore_log_of_a_redirect_would_show_the_key() -> None:
    # The control: without a trace that removes it, the response's headers are logged unchanged.
    async def main() -> list[str]:
        target = f"/x?key={quote(CANARY, safe='')}"
        moved = http(b"", "301 Moved", location=target)
        async with serving(responds_with(moved)) as server, httpx.AsyncHTTPTransport() as plain:
            url = f"http://127.0.0.1:{server.port}{target}"
            response = await plain.handle_async_request(httpx.Request("GET", url))
            await response.aclose()
        return []

    assert any(map(leaks, run_and_collect(main)))


UNUSABLE: dict[str, dict[str, Any]] = {
    "a key with a line break": {"api_key": f"{CANARY}\n"},
    "a key that is too long": {"api_key": CANARY * 9},
    "a key in bytes": {"api_key": CANARY.encode()},
    "a username with a blank": {"username": "acme "},
    "a key in place of the username": {"username": CANARY * 9, "api_key": "acme"},
    "a key in the base URL": {"base_url": f"https://acme.example/api?key={quote(CANARY)}"},
    "a rate": {"rate": "fast"},
    "a transport": {"transport": "curl"},
    "a policy": {"retry": 3},
}


def variables_of_our_frames(error: BaseException) -> list[str]:
    """Write down the variables of the package's frames; those of others are the caller's."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("clickpost_async")]
    assert ours
    # An unfinished client has no repr.
    locals_of = [
        value for frame in ours for name, value in frame.f_locals.items() if name != "self"
    ]
    return [repr(value) for value in locals_of]


@pytest.mark.parametrize("mistake", UNUSABLE)
def test_client_that_cannot_be_made_shows_no_key(mistake: str) -> None:
    settings: dict[str, Any] = {"username": "acme", "api_key": CANARY} | UNUSABLE[mistake]
    with pytest.raises((TypeError, ValueError)) as caught:
        ClickPost(**settings)

    assert_clean([str(caught.value), *variables_of_our_frames(caught.value)])


def test_client_that_cannot_log_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKPOST_LOG", "verbose")
    with pytest.raises(ValueError, match="CLICKPOST_LOG") as caught:
        ClickPost("acme", CANARY)

    assert_clean(variables_of_our_frames(caught.value))


@pytest.mark.fault("S05")
@every_adapter
def test_closed_port_shows_no_key(wire: str) -> None:
    async def main() -> list[str]:
        url = f"http://127.0.0.1:{closed_port()}/api"
        async with client(url, transport=ADAPTERS[wire]()) as clickpost:
            return await texts_of_call(clickpost)

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05")
def test_foreign_error_below_us_shows_no_key() -> None:
    async def fails(request: httpx.Request) -> httpx.Response:
        message = f"cannot reach {request.url}"
        raise RuntimeError(message) from KeyError(str(request.url))

    async def main() -> list[str]:
        async with client(
            "https://acme.example/api", transport=httpx.MockTransport(fails)
        ) as clickpost:
            return await texts_of_call(clickpost)

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05")
def test_error_of_a_secret_store_that_contains_the_key_is_not_quoted() -> None:
    def vault() -> str:
        key = CANARY
        message = f"cannot read {key}"
        raise OSError(message)

    async def main() -> list[str]:
        async with ClickPost("acme", vault, retry=RetryPolicy.never()) as clickpost:
            with pytest.raises(NotSentError) as caught:
                await clickpost.orders.create(india_order("R-1"))
            return [*texts_of(caught.value), *shown_by(clickpost)]

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05")
@every_adapter
def test_call_that_is_cancelled_shows_no_key(wire: str) -> None:
    async def main() -> list[str]:
        async with (
            serving(hangs) as server,
            client(server.url, timeouts=Timeouts(), transport=ADAPTERS[wire]()) as clickpost,
        ):
            call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
            await until(lambda: server.heads)
            texts = [repr(call)]
            call.cancel("enough")
            try:
                await call
            except asyncio.CancelledError as error:
                texts += texts_of(error)
            with pytest.raises(TimeoutError) as caught:
                await asyncio.wait_for(clickpost.orders.create(india_order("R-1")), 0.02)
            texts += texts_of(caught.value)
            with pytest.raises(ClickPostError) as late:
                await clickpost.with_options(deadline=0.02).orders.create(india_order("R-1"))
            return [*texts, repr(call), *texts_of(late.value)]

    assert_clean(run_and_collect(main))


@pytest.mark.fault("S05")
def test_unretrieved_error_is_logged_without_the_key() -> None:
    async def main() -> list[str]:
        async with serving(responds_with()) as server, client(server.url) as clickpost:
            call = asyncio.create_task(clickpost.orders.create(india_order("R-1")))
            await asyncio.wait([call])
            shown = repr(call)
            del call
            gc.collect()
            return [shown]

    texts = run_and_collect(main)
    assert any("exception was never retrieved" in text for text in texts)
    assert_clean(texts)


@pytest.mark.fault("S05")
def test_errors_of_a_group_show_no_key() -> None:
    async def main() -> list[str]:
        async with serving(responds_with()) as server, client(server.url) as clickpost:
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(3):
                        group.create_task(clickpost.orders.create(india_order(f"R-{number}")))
            except ExceptionGroup as errors:
                return texts_of(errors)
        raise AssertionError

    assert_clean(run_and_collect(main))


def test_base_url_never_leads_the_key_to_another_host() -> None:
    for path in ("//evil.example/x", "https://evil.example/x", "/../../x", "/v1/../x"):
        hosts: list[str] = []

        async def response(request: httpx.Request, hosts: list[str] = hosts) -> httpx.Response:
            hosts.append(request.url.host)
            return httpx.Response(200, content=envelope())

        async def main(path: str = path, response: Any = response) -> None:
            endpoint = Get(path, returns=ResponseModel, idempotency=Idempotency.UNSAFE)
            async with client(
                "https://acme.example/api", transport=httpx.MockTransport(response)
            ) as clickpost:
                await clickpost.get(endpoint)

        with contextlib.suppress(ValueError):
            asyncio.run(main())
        assert set(hosts) <= {"acme.example"}


def holders(needle: bytes) -> list[object]:
    """Find everything alive that holds the key: the containers, since strings have no address."""
    found: list[object] = []
    for one in gc.get_objects():
        for inner in gc.get_referents(one):
            raw = inner.encode(errors="replace") if isinstance(inner, str) else inner
            if isinstance(raw, bytes | bytearray) and inner is not needle and needle in raw:
                found.append(one)
    return found


class Forgotten:
    """Something that was left in memory."""

    def __init__(self, url: str) -> None:
        self.url = url


def look_into_the_heap(wire: str) -> None:
    # Made here, so that no constant of the source holds it.
    needle = base64.b32encode(b"the key of this one test")

    async def main() -> ClickPost:
        clickpost = None
        async with serving(responds_with(http(PLACED))) as server:
            clickpost = ClickPost(
                "acme",
                needle.decode(),
                base_url=server.url,
                transport=ADAPTERS[wire](),
            )
            await clickpost.orders.create(india_order("R-1"))
            with contextlib.suppress(ClickPostError):
                once = clickpost.with_options(retry=RetryPolicy.never())
                await once.orders.create(india_order("R-2"))
            await clickpost.aclose()
        return clickpost

    clickpost = asyncio.run(main())
    gc.collect()
    # The closure's cell that `Secret.reveal` reads.
    assert [type(holder).__name__ for holder in holders(needle)] == ["cell"]
    assert clickpost is not None

    forgotten = Forgotten(f"https://acme.example/?key={needle.decode()}")
    assert len(holders(needle)) > 1
    assert forgotten.url


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="a walk over its heap kills 3.12.1")
def test_closed_client_holds_the_key_in_its_secret_only() -> None:
    # In a process of its own, whose heap is small.
    script = "import sys, tests.test_secrets as it; [*map(it.look_into_the_heap, sys.argv[1:])]"
    looked = subprocess.run(
        [sys.executable, "-c", script, *ADAPTERS],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert (looked.returncode, looked.stderr) == (0, "")
