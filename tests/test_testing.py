"""Virtual time."""

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import httpx
import pytest

from clickpost_async.testing import VirtualLoop, run_virtual, virtual_time


@pytest.fixture
def forty_two() -> int:
    return 42


@virtual_time
async def test_ninety_days_pass_at_once_and_to_the_second() -> None:
    await asyncio.sleep(90 * 86_400)
    assert asyncio.get_running_loop().time() == 90 * 86_400
    assert anyio.current_time() == 90 * 86_400


@virtual_time
async def test_fixtures_and_parameters_reach_an_async_test(forty_two: int) -> None:
    assert forty_two == 42


def test_result_and_error_are_returned() -> None:
    async def fine() -> str:
        await asyncio.sleep(1)
        return "fine"

    async def wrong() -> None:
        await asyncio.sleep(1)
        raise KeyError

    assert run_virtual(fine) == "fine"
    with pytest.raises(KeyError):
        run_virtual(wrong)


@virtual_time
async def test_timers_fire_in_their_order_and_at_their_time() -> None:
    loop = asyncio.get_running_loop()
    fired: list[tuple[float, float]] = []

    def fire(when: float) -> None:
        fired.append((when, loop.time()))

    whens = [3.0, 1.0, 2.5, 1.0, 0.1, 1e-9, 86_400.5]
    for when in whens:
        loop.call_at(when, fire, when)
    await asyncio.sleep(100_000)
    assert [when for when, _ in fired] == sorted(whens)
    assert [at for _, at in fired] == pytest.approx(sorted(whens))


@virtual_time
async def test_virtual_time_does_not_advance_while_a_task_is_ready() -> None:
    async with asyncio.timeout(0.001):
        for _ in range(1000):
            await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() == 0


def test_timeouts_come_when_due() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        with anyio.move_on_after(30):
            await anyio.sleep(31)
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == 60


def test_deadlock_is_reported_with_the_names_of_the_tasks() -> None:
    async def main() -> None:
        asyncio.current_task().set_name("forgetful")  # type: ignore[union-attr]
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match=r"^deadlock: every task waits, .*; waiting: forgetful$"):
        run_virtual(main)


def test_sleep_without_end_is_a_deadlock_too() -> None:
    with pytest.raises(RuntimeError, match=r"^deadlock: "):
        run_virtual(anyio.sleep_forever)


def test_after_a_deadlock_the_tasks_are_cleaned_up() -> None:
    closed = False

    async def main() -> None:
        nonlocal closed
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5)
            closed = True

    with pytest.raises(RuntimeError, match=r"^deadlock: "):
        run_virtual(main)
    assert closed


@virtual_time
async def test_socket_is_waited_for_before_the_clock_moves_on() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        async with asyncio.timeout(20):
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"hello\n")
            assert await reader.read() == b"hello\n"
            writer.close()
            await writer.wait_closed()
        assert asyncio.get_running_loop().time() < 20
    server.close()


@virtual_time
async def test_time_passes_in_real_time_while_a_socket_is_open() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0):
        await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() == pytest.approx(0.01)


@virtual_time
async def test_thread_is_waited_for_before_the_clock_moves_on() -> None:
    release = threading.Event()
    asyncio.get_running_loop().call_later(0.01, release.set)
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(release.wait, 10)
    assert asyncio.get_running_loop().time() < 20
    await asyncio.sleep(100)
    assert asyncio.get_running_loop().time() > 100


@virtual_time
async def test_foreign_thread_is_not_taken_for_a_deadlock() -> None:
    def work() -> int:
        time.sleep(0.01)
        return threading.get_ident()

    assert await anyio.to_thread.run_sync(work) != threading.get_ident()


@virtual_time
async def test_mock_transports_are_served_in_virtual_time() -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(60)
        return httpx.Response(200, text="late")

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
        replies = await asyncio.gather(*(client.get("http://mock") for _ in range(5)))
    assert [reply.text for reply in replies] == ["late"] * 5
    assert asyncio.get_running_loop().time() == 60


def test_virtual_loop_works_with_any_runner() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop, debug=True) as runner:
        runner.run(asyncio.sleep(3600))
        assert runner.get_loop().time() == 3600
