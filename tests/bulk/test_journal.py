"""The journal's file: durable before anybody goes on, locked, and refused if it is not whole."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.bulk import JournalError, status
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.standing import FINAL, Entry, Standing, State
from clickpost_async.testing import run_virtual, virtual_time

ME = "acme at https://www.clickpost.in/api"


def entry(number: int, contents: bytes = b"{}", position: int | None = None) -> Entry:
    return Entry(
        key=("india", f"R-{number}"),
        position=number if position is None else position,
        row=number + 2,
        payload=contents,
        digest=contents,
    )


def key(number: int) -> tuple[str, str]:
    return ("india", f"R-{number}")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Look from outside: what is committed is seen, and nothing else."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def states(path: Path) -> dict[str, str]:
    with reading(path) as database:
        return dict(database.execute("SELECT reference_number, state FROM orders").fetchall())


# --- durable ------------------------------------------------------------------------------------


@virtual_time
async def test_a_mark_can_be_read_from_outside_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(1))).state is State.ACCEPTED
        assert states(path) == {"R-1": "accepted"}
        await journal.sending(key(1))
        assert states(path) == {"R-1": "sending"}
        await journal.record(key(1), State.PLACED, b"{}")
        assert states(path) == {"R-1": "placed"}


@pytest.mark.fault("L03")
@pytest.mark.asyncio
async def test_l03_what_was_acknowledged_is_in_the_files_as_they_are_then(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in range(20):
            await journal.admit(entry(number))
            await journal.sending(key(number))
            # What a machine that loses its power here would find.
            image = tmp_path / f"image-{number}"
            image.mkdir()
            for file in tmp_path.glob("run.db*"):
                shutil.copy(file, image / file.name)
    for number in range(20):
        async with Journal.at(tmp_path / f"image-{number}" / "run.db", account=ME) as journal:
            standing = await journal.admit(entry(number))
            assert (standing.state, standing.attempts) == (State.SENDING, 1)


@virtual_time
async def test_many_share_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await asyncio.gather(*(journal.admit(entry(number)) for number in range(500)))
        with reading(path) as database:
            found = database.execute("SELECT value FROM facts WHERE name = 'commits'")
            (commits,) = found.fetchone()
    assert len(states(path)) == 500
    assert commits <= 3


@virtual_time
async def test_what_was_handed_over_is_written_though_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        waiting = asyncio.create_task(journal.sending(key(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        journal.record(key(1), State.UNKNOWN, b"{}")
    assert states(path) == {"R-1": "unknown"}


def test_it_works_on_trio(tmp_path: Path) -> None:
    async def main() -> Standing:
        async with Journal.at(tmp_path / "run.db", account=ME) as journal:
            await journal.admit(entry(1))
            async with anyio.create_task_group() as group:
                group.start_soon(journal.sending, key(1))
            return await journal.admit(entry(1))

    standing = anyio.run(main, backend="trio")
    assert (standing.state, standing.seen) == (State.SENDING, True)


# --- what it says of an order -------------------------------------------------------------------


@virtual_time
async def test_an_order_is_known_again_by_a_later_run(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for run in range(3):
        async with Journal.at(path, account=ME) as journal:
            standing = await journal.admit(entry(1))
            assert standing.state is (State.SENDING if run else State.ACCEPTED)
            assert (standing.attempts, standing.seen) == (run, False)
            await journal.sending(key(1))
            assert (await journal.admit(entry(1))).seen


@pytest.mark.fault("L14")
@pytest.mark.parametrize("state", State)
@virtual_time
async def test_l14_other_contents_are_refused_unless_there_is_surely_no_order(
    state: State, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1, b"old"))
        await journal.record(key(1), state, b"{}")
    async with Journal.at(path, account=ME) as journal:
        standing = await journal.admit(entry(1, b"new"))
    if state in (State.ACCEPTED, State.REJECTED):
        assert (standing.state, standing.payload_matches) == (State.ACCEPTED, True)
    else:
        assert (standing.state, standing.payload_matches) == (state, False)
    with reading(path) as database:
        (digest,) = database.execute("SELECT digest FROM orders").fetchone()
    assert digest == (b"new" if standing.payload_matches else b"old")


@pytest.mark.parametrize("keep", [False, True])
@virtual_time
async def test_what_was_sent_is_kept_until_the_order_is_done(keep: bool, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME, keep_payloads=keep) as journal:
        for number, state in enumerate(State):
            await journal.admit(entry(number, b"contents"))
            await journal.record(key(number), state, b"{}")
    with reading(path) as database:
        kept = dict(database.execute("SELECT state, payload IS NOT NULL FROM orders").fetchall())
    assert kept == {state.value: int(keep or state not in FINAL) for state in State}


@pytest.mark.fault("L15")
@virtual_time
async def test_l15_orders_that_the_input_no_longer_has_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in range(10):
            await journal.admit(entry(number))
        assert await journal.count_unseen() == 0
    async with Journal.at(path, account=ME) as journal:
        for number in (7, 3, 11):
            await journal.admit(entry(number))
        assert await journal.count_unseen() == 8


@virtual_time
async def test_orders_in_doubt_are_gone_through_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in range(1000):
            await journal.admit(entry(number, b"%d" % number, position=(number * 7) % 10))
            await journal.record(key(number), list(State)[number % 6], b"{}")
        found = [kept async for kept in journal.doubts()]
    assert len(found) == 501
    assert [kept.position for kept in found] == sorted(kept.position for kept in found)
    assert {kept.payload for kept in found} == {
        b"%d" % number
        for number in range(1000)
        if list(State)[number % 6] in (State.SENDING, State.QUEUED, State.UNKNOWN)
    }


@pytest.mark.fault("C01")
@pytest.mark.fault("C02")
@pytest.mark.parametrize(
    ("passed", "boot", "left"),
    [(0.0, "b", 30), (10.0, "b", 20), (500.0, "b", 0), (500.0, "other", 30), (-3600.0, "b", 30)],
)
def test_c02_settling_is_never_shortened_by_a_clock_that_began_anew_or_went_back(
    passed: float, boot: str, left: float
) -> None:
    standing = Standing(state=State.SENDING, since=1e9, boot="b")
    assert standing.left_to_settle(30, now=1e9 + passed, boot=boot) == left


acts = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["admit", "sending", "reopen", *State]),
        st.sampled_from([b"a", b"b"]),
    ),
    max_size=30,
)


@given(acts)
def test_it_says_what_a_plain_dictionary_would(script: list[tuple[int, Any, bytes]]) -> None:
    import tempfile

    async def main(path: Path) -> None:
        model: dict[int, tuple[State, bytes]] = {}
        seen: set[int] = set()
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(Journal.at(path, account=ME))
            for number, act, contents in script:
                if act == "reopen":
                    await stack.aclose()
                    journal = await stack.enter_async_context(Journal.at(path, account=ME))
                    seen.clear()
                elif act == "admit":
                    state, old = model.get(number, (State.ACCEPTED, contents))
                    standing = await journal.admit(entry(number, contents))
                    free = state in (State.ACCEPTED, State.REJECTED) and number not in seen
                    if old != contents and free:
                        state, old = State.ACCEPTED, contents
                    model[number] = (state, old)
                    assert standing.state is state
                    assert standing.payload_matches == (old == contents)
                    if number in seen:
                        assert standing.seen
                    seen.add(number)
                elif number in model:
                    state = State.SENDING if act == "sending" else act
                    if act == "sending":
                        await journal.sending(key(number))
                    else:
                        await journal.record(key(number), state, b"{}")
                    model[number] = (state, model[number][1])
        assert states(path) == {f"R-{number}": known[0].value for number, known in model.items()}

    with tempfile.TemporaryDirectory() as folder:
        run_virtual(lambda: main(Path(folder) / "run.db"))


# --- its file -----------------------------------------------------------------------------------


async def made(path: Path, orders: int = 3) -> None:
    async with Journal.at(path, account=ME) as journal:
        for number in range(orders):
            await journal.admit(entry(number))


async def refused(path: Path, *, account: str = ME) -> str:
    with pytest.raises(JournalError) as caught:
        async with Journal.at(path, account=account):
            pass
    return str(caught.value)


@virtual_time
async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("run.db", "run.db-lock", "run.db-shm", "run.db-wal"), 0o600)

    path.chmod(0o644)
    async with Journal.at(path, account=ME):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


HOLD = """
import asyncio, sys
from clickpost_async.bulk.journal import Journal

async def main():
    async with Journal.at(sys.argv[1], account=sys.argv[2]):
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.fault("L07")
@pytest.mark.asyncio
async def test_l07_a_second_process_is_refused_at_once_until_the_first_is_gone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), ME], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        assert "is in use by another process" in await refused(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    await made(path)


@virtual_time
async def test_another_accounts_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await made(path)
    assert "belongs to acme at" in await refused(path, account="other at https://x.example")
    await made(path)


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


def another_database(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE x (y)")


def no_database(path: Path) -> None:
    path.write_text("reference_number,waybill\n" * 1000)


def damaged(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096 * 2 : 4096 * 2 + 200] = b"\xff" * 200
    path.write_bytes(whole)


@pytest.mark.fault("L04")
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (newer, "newer release"),
        (another_database, "no journal of a bulk run"),
        (no_database, "could not be read"),
        (damaged, "damaged|could not be read"),
    ],
)
@virtual_time
async def test_l04_a_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(
    harm: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    await made(path, 300)
    harm(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=words):
        async with Journal.at(path, account=ME):
            pass
    assert path.read_bytes() == before


@pytest.mark.fault("L04")
@pytest.mark.parametrize("harm", ["deleted", "cut", "flipped", "shm deleted"])
@pytest.mark.asyncio
async def test_l04_a_log_that_lost_what_was_acknowledged_is_noticed(
    harm: str, tmp_path: Path
) -> None:
    path, log = tmp_path / "run.db", tmp_path / "run.db-wal"
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    async with Journal.at(path, account=ME) as journal:
        for number in range(30):
            await journal.admit(entry(number))
        for file in tmp_path.glob("run.db*"):
            shutil.copy(file, crashed / file.name)
    path, log = crashed / path.name, crashed / log.name
    if harm == "deleted":
        log.unlink()
    elif harm == "cut":
        os.truncate(log, log.stat().st_size // 2)
    elif harm == "flipped":
        whole = bytearray(log.read_bytes())
        whole[len(whole) // 2] ^= 0xFF
        log.write_bytes(whole)
    else:
        (crashed / "run.db-shm").unlink()
    if harm == "shm deleted":
        # It is made anew from the log.
        async with Journal.at(path, account=ME):
            assert len(states(path)) == 30
    else:
        assert "lacks what was written last" in await refused(path)


@pytest.mark.fault("L06")
@pytest.mark.parametrize("where", ["nowhere/run.db", "a-directory", "/proc/run.db"])
@virtual_time
async def test_l06_a_place_that_cannot_be_written_is_refused(where: str, tmp_path: Path) -> None:
    (tmp_path / "a-directory").mkdir()
    assert "could not be read or written" in await refused(tmp_path / where)


@virtual_time
async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.db").symlink_to(tmp_path / "elsewhere")
    await refused(tmp_path / "run.db")
    assert not (tmp_path / "elsewhere").exists()


FILL = """
import asyncio, resource, sys
from clickpost_async.bulk import JournalError
from clickpost_async.bulk.journal import Journal
from tests.bulk.test_journal import ME, entry, key

async def main():
    acknowledged = 0
    async with Journal.at(sys.argv[1], account=ME) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            while acknowledged < 5000:
                await journal.admit(entry(acknowledged, b"x" * 1000))
                acknowledged += 1
        except JournalError as error:
            print(acknowledged, error)
            for _ in range(2):
                try:
                    await journal.sending(key(0))
                except JournalError:
                    print("still refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    asyncio.run(main())
except JournalError:
    pass
"""


@pytest.mark.fault("L05")
@pytest.mark.asyncio
async def test_l05_a_full_disk_stops_everything_and_costs_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    path = tmp_path / "run.db"
    ran = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=False
    )
    first, *rest = ran.stdout.splitlines()
    acknowledged = int(first.split()[0])
    assert 10 < acknowledged < 5000
    assert "could not be read or written" in first
    assert rest == ["still refused", "still refused"]
    # With room again it goes on where it was.
    async with Journal.at(path, account=ME) as journal:
        assert len(states(path)) >= acknowledged
        await journal.sending(key(0))


@pytest.mark.fault("L13")
@virtual_time
async def test_l13_a_writer_that_dies_fails_all_who_wait_and_all_who_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        await journal.admit(entry(0))

        def dies(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(journal._store, "commit", dies)
        waiting = [asyncio.ensure_future(journal.admit(entry(n))) for n in range(1, 20)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        monkeypatch.undo()
        with pytest.raises(JournalError, match="MemoryError"):
            await journal.sending(key(0))
    assert {type(outcome) for outcome in outcomes} == {JournalError}


# --- looked at from outside ---------------------------------------------------------------------


@virtual_time
async def test_its_status_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number, state in enumerate([*State, State.PLACED]):
            await journal.admit(entry(number))
            await journal.record(key(number), state, b"{}")
        found = status(path)
    assert found == status(path)
    assert (found.account, found.in_doubt) == (ME, 3)
    assert found.counts == {**dict.fromkeys(State, 1), State.PLACED: 2}
    assert found.oldest_doubt is not None
    with pytest.raises(JournalError, match="there is no journal"):
        status(tmp_path / "nothing.db")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(JournalError):
        status(tmp_path / "text")
