"""A client's transport to the simulated ClickPost, in place of httpx's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpx

from tests.simulation.history import Key, LookUp, Sending
from tests.simulation.network import Gateway, Network, Reply
from tests.simulation.orders import PATHS, contents_of, reference_of

if TYPE_CHECKING:
    from tests.simulation.process import Process


class Transport(httpx.AsyncBaseTransport):
    """Sends calls over the simulated network, and reports its steps as httpcore does."""

    def __init__(
        self,
        network: Network,
        process: "Process",
        *,
        name: str,
        scopes: tuple[str, ...],
        settle_delay: float,
        may_resend: bool,
        before_sending: Callable[[Key], None] | None = None,
    ) -> None:
        self.name = name
        self.closed_at: float | None = None
        self._network = network
        self._world = network.world
        self._process = process
        self._scopes = scopes
        self._settle_delay = settle_delay
        self._may_resend = may_resend
        self._before_sending = before_sending

    async def aclose(self) -> None:
        """Note that the client was closed."""
        self.closed_at = self._world.now

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a call, and return what comes back."""
        network, world, history = self._network, self._world, self._network.history
        step = request.extensions["trace"]
        timeouts = request.extensions["timeout"]
        history.departures.setdefault(self.name, []).append(world.now)
        key = _key_of(request)
        if self.closed_at is not None:
            history.blame("closed", f"a call for {key[1]} began after its client was closed")
        if request.method == "GET":
            history.look_ups.append(LookUp(process=self._process.name, key=key, left=world.now))
        await step("connection.connect_tcp.started", {})
        fault = network.draw_fault()
        await self._wait(world.delay(0.0005, 0.02))
        if network.weather.is_dead(world.now):
            fault = "connect_timeout" if network.weather.silent else "refused"
        if fault == "refused":
            message = "connection refused"
            raise httpx.ConnectError(message)
        if fault == "connect_timeout":
            await self._wait(timeouts["connect"])
            message = "no connection"
            raise httpx.ConnectTimeout(message)
        await step("http11.send_request_headers.started", {})
        sending = None if request.method == "GET" else self._note_sending(key, request.content)
        what = f"look-up of {key[1]}"
        if sending is not None:
            what = f"create of {sending.contents} #{sending.number}"
        world.note(self._who(), f"sends {what}" + (f" ({fault})" if fault else ""))
        exchange = Exchange(network, self._process, key, sending, fault)
        reply = await exchange.reply(timeouts["read"])
        self._process.open_responses += 1
        headers = {"content-type": "application/json", **reply.headers}
        return httpx.Response(reply.status, headers=headers, stream=_Body(self._process, reply))

    def _who(self) -> str:
        loops = self._process.loops
        if len(loops) == 1:
            return self.name
        running: Any = asyncio.get_running_loop()
        return f"{self.name}@{loops.index(running)}"

    def _note_sending(self, key: Key, content: bytes) -> Sending:
        history = self._network.history
        contents = contents_of(content)
        if self._before_sending is not None:
            self._before_sending(key)
        sending = Sending(
            number=len(history.sendings) + 1,
            process=self._process.name,
            scopes=self._scopes,
            key=key,
            contents=contents,
            left=self._world.now,
            settle_delay=self._settle_delay,
            may_resend=self._may_resend,
        )
        history.sendings.append(sending)
        return sending

    async def _wait(self, seconds: float) -> None:
        waiter: Any = asyncio.get_running_loop().create_future()
        self._world.at(seconds, lambda: waiter.done() or waiter.set_result(None))
        try:
            await waiter
        finally:
            waiter.cancel()


class Exchange:
    """A request that has left, and what comes back; `sending` is nothing for a look-up."""

    def __init__(
        self,
        network: Network,
        process: "Process",
        key: Key,
        sending: Sending | None,
        fault: str | None,
    ) -> None:
        self._network = network
        self._world = network.world
        self._process = process
        self._key = key
        self._sending = sending
        self._fault = fault
        self._waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    async def reply(self, patience: float) -> Reply:
        """Return the response, or raise as httpx does when there is none."""
        world = self._world
        gateway = self._network.at_the_gateway(self._fault)
        if gateway is not None:
            self._hear(gateway)
        if gateway is None or gateway.passes_on:
            if self._fault == "lost_request":
                world.at(world.delay(0.0, 0.02), self._fail, httpx.ReadError("connection reset"))
            else:
                world.at(world.delay(0.0005, 0.02), self._arrive, gateway is None)
        world.at(patience, self._fail, httpx.ReadTimeout("no response"))
        try:
            return await self._waiter
        finally:
            self._waiter.cancel()

    def _hear(self, gateway: Gateway) -> None:
        if gateway.turns_away and self._sending is not None:
            self._sending.turned_away = True
        self._world.at(self._world.delay(0.001, 0.04), self._deliver, gateway.reply)

    def _arrive(self, is_received: bool) -> None:
        # A response behind a gateway that has shown its own page is lost.
        respond = self._come_back if is_received else _discard
        courier, sending = self._network.courier, self._sending
        if sending is None:
            courier.look_up(self._key, respond)
        else:
            courier.create(self._key, sending.contents, sending.number, respond)

    def _come_back(self, status: int, text: bytes) -> None:
        world = self._world
        if self._fault == "lost_response":
            world.at(world.delay(0.0, 0.02), self._fail, httpx.ReadError("connection reset"))
            return
        reply = self._network.spoiled(
            self._fault, self._process.name, self._key, Reply(status=status, body=text)
        )
        seconds = world.delay(0.0, 70.0) if self._fault == "slow" else world.delay(0.0005, 0.02)
        world.at(seconds, self._deliver, reply)

    def _deliver(self, reply: Reply) -> None:
        if not self._process.alive or self._waiter.done():
            return
        if reply.leaves_no_doubt(self._key):
            self._note_responded()
        self._waiter.set_result(reply)

    def _note_responded(self) -> None:
        # What is found by a look-up is found for all sendings before it.
        sendings = self._network.history.sendings if self._sending is None else [self._sending]
        for sending in sendings:
            if sending.key == self._key and sending.responded_at is None:
                sending.responded_at = self._world.now

    def _fail(self, error: Exception) -> None:
        if self._process.alive and not self._waiter.done():
            self._waiter.set_exception(error)


def _discard(status: int, text: bytes) -> None:
    """Take a response that no call waits for."""


class _Body(httpx.AsyncByteStream):
    """A response's body as it comes in."""

    def __init__(self, process: "Process", reply: Reply) -> None:
        self._process = process
        self._reply = reply
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        text = self._reply.body
        if self._reply.cut:
            yield text[: len(text) // 2]
            message = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(message)
        yield text

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._process.open_responses -= 1


def _key_of(request: httpx.Request) -> Key:
    market = PATHS[request.url.path.removeprefix("/api")]
    if request.method == "GET":
        return (market, request.url.params["reference_number"])
    return (market, reference_of(request.content))
