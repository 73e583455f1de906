"""The journal file: durable before a call returns, locked, and refused if it is damaged."""

import asyncio
import contextlib
import itertools
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async.bulk import JournalError, status
from clickpost_async.bulk import journal as journal_module
from clickpost_async.bulk.decisions import Action
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.records import FINAL, JournalEntry, JournalState
from clickpost_async.bulk.sqlite import Admission
from clickpost_async.bulk.timestamp import Timestamp, boot_id
from clickpost_async.testing import run_virtual, virtual_time

ME = "acme at https://www.clickpost.in/api"


def entry(number: int, contents: bytes = b"{}", position: int | None = None) -> JournalEntry:
    return JournalEntry(
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
async def test_record_is_visible_to_other_processes_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(1))).action is Action.SEND
        await journal.sending(key(1))
        assert states(path) == {"R-1": "sending"}
        await journal.record(key(1), JournalState.PLACED, b"{}")
        assert states(path) == {"R-1": "placed"}


def commits(path: Path) -> int:
    """Count the commits so far, each of which is a flush of the disk."""
    with reading(path) as database:
        (count,) = database.execute("SELECT value FROM facts WHERE name = 'commits'").fetchone()
    return int(count)


@virtual_time
async def test_journal_admission_needs_no_flush_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        before = commits(path)
        await journal.admit(entry(1))
        await journal.admit(entry(2))
        assert (commits(path), states(path)) == (before, {})
        await journal.sending(key(1))
        assert (commits(path), states(path)) == (before + 1, {"R-1": "sending", "R-2": "accepted"})


@virtual_time
async def test_journal_admission_is_durable_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
    assert states(path) == {"R-1": "accepted"}


@virtual_time
async def test_journal_outcome_shares_the_flush_of_the_next_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than any flush of a busy machine.
    monkeypatch.setattr(journal_module, "_LINGER", 60.0)
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in (1, 2):
            await journal.admit(entry(number))
        await journal.sending(key(1))
        before = commits(path)
        saved = journal.record(key(1), JournalState.PLACED, b"{}")
        await journal.sending(key(2))
        await saved
        assert (commits(path), states(path)) == (before + 1, {"R-1": "placed", "R-2": "sending"})


@virtual_time
async def test_journal_orders_sent_soon_after_a_flush_share_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than any flush of a busy machine.
    monkeypatch.setattr(journal_module, "_FLUSH_INTERVAL", 60.0)
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in (1, 2, 3):
            await journal.admit(entry(number))
        await journal.sending(key(1))
        began, before = anyio.current_time(), commits(path)
        async with anyio.create_task_group() as group:
            for number in (2, 3):
                group.start_soon(journal.sending, key(number))
        assert commits(path) == before + 1
        assert anyio.current_time() - began > 30
        await anyio.sleep(60)
        began, before = anyio.current_time(), commits(path)
        await journal.sending(key(1))
        assert commits(path) == before + 1
        assert anyio.current_time() - began < 30


@virtual_time
async def test_journal_outcome_is_durable_though_no_order_follows(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        await journal.sending(key(1))
        await journal.record(key(1), JournalState.PLACED, b"{}")
        assert states(path) == {"R-1": "placed"}


@virtual_time
async def test_journal_outcome_long_after_the_last_order_is_flushed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number in (1, 2):
            await journal.admit(entry(number))
        await journal.sending(key(1))
        await anyio.sleep(1)
        before = commits(path)
        saved = journal.record(key(1), JournalState.PLACED, b"{}")
        await journal.sending(key(2))
        await saved
        assert commits(path) == before + 2


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
            standing = (await journal.admit(entry(number))).record
            assert (standing.state, standing.attempts) == (JournalState.SENDING, 1)


@pytest.mark.fault("L03")
@pytest.mark.asyncio
async def test_l03_journal_opens_after_a_kill_at_any_page_of_a_checkpoint(tmp_path: Path) -> None:
    # SQLite copies a log's pages into the file in their order, and enlarges the file as it does.
    path, killed = tmp_path / "run.db", tmp_path / "killed" / "run.db"
    killed.parent.mkdir()
    async with Journal.at(path, account=ME) as journal:
        for number in range(100):
            await journal.admit(entry(number))
            await journal.sending(key(number))
        for file in tmp_path.glob("run.db*"):
            shutil.copy(file, killed.with_name(file.name))
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        checkpointed = path.read_bytes()
    whole = {file.name: file.read_bytes() for file in killed.parent.iterdir()}
    assert len(whole["run.db"]) < len(checkpointed)
    broken_without_log = 0
    for end in range(0, len(checkpointed) + 1, 4096):
        for name, contents in whole.items():
            killed.with_name(name).write_bytes(contents)
        killed.write_bytes(checkpointed[:end] + whole["run.db"][end:])
        broken_without_log += not is_readable_without_log(killed)
        assert status(killed).counts[JournalState.SENDING] == 100
        async with Journal.at(killed, account=ME) as journal:
            record = (await journal.admit(entry(99))).record
            assert (record.state, record.attempts) == (JournalState.SENDING, 1)
    # The control: such files are what a process leaves that is killed in the middle.
    assert broken_without_log > 1


def is_readable_without_log(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        try:
            database.execute("SELECT COUNT(*) FROM orders").fetchone()
        except sqlite3.DatabaseError:
            return False
    return True


@virtual_time
async def test_many_share_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await asyncio.gather(*(journal.admit(entry(number)) for number in range(500)))
        await asyncio.gather(*(journal.sending(key(number)) for number in range(500)))
        assert commits(path) <= 3
    assert states(path) == {f"R-{number}": "sending" for number in range(500)}


@virtual_time
async def test_submitted_write_is_done_without_a_waiter(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        waiting = asyncio.create_task(journal.sending(key(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        journal.record(key(1), JournalState.UNKNOWN, b"{}")
    assert states(path) == {"R-1": "unknown"}


def test_journal_works_on_trio(tmp_path: Path) -> None:
    async def main() -> Admission:
        async with Journal.at(tmp_path / "run.db", account=ME) as journal:
            await journal.admit(entry(1))
            async with anyio.create_task_group() as group:
                group.start_soon(journal.sending, key(1))
            return await journal.admit(entry(1))

    standing = anyio.run(main, backend="trio").record
    assert (standing.state, standing.seen) == (JournalState.SENDING, True)


# --- what it says of an order -------------------------------------------------------------------


@virtual_time
async def test_order_is_known_again_by_a_later_run(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for run in range(3):
        async with Journal.at(path, account=ME) as journal:
            admission = await journal.admit(entry(1))
            assert admission.action is (Action.RESOLVE if run else Action.SEND)
            standing = admission.record
            assert standing.state is (JournalState.SENDING if run else None)
            assert (standing.attempts, standing.seen) == (run, False)
            await journal.sending(key(1))
            assert (await journal.admit(entry(1))).record.seen


@pytest.mark.fault("L14")
@pytest.mark.parametrize("state", JournalState)
@virtual_time
async def test_l14_other_contents_replace_a_record_only_where_no_order_can_exist(
    state: JournalState, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1, b"old"))
        await journal.record(key(1), state, b"{}")
    async with Journal.at(path, account=ME) as journal:
        admission = await journal.admit(entry(1, b"new"))
    is_free = state in (JournalState.ACCEPTED, JournalState.REJECTED)
    assert (admission.action is Action.SEND) == is_free
    assert (admission.record.state, admission.record.matches) == (state, False)
    with reading(path) as database:
        found = database.execute("SELECT state, digest FROM orders").fetchone()
    assert found == (("accepted", b"new") if is_free else (state.value, b"old"))


@pytest.mark.parametrize("state", JournalState)
@virtual_time
async def test_invalid_order_is_recorded_only_where_no_order_can_exist(
    state: JournalState, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    invalid = evolve(entry(1), payload=None, digest=None)
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1, b"old"))
        await journal.record(key(1), state, b"{}")
    for _ in range(2):
        async with Journal.at(path, account=ME) as journal:
            first = await journal.admit(invalid)
            second = await journal.admit(invalid)
            third = await journal.admit(entry(1, b"old"))
    is_free = state in (JournalState.ACCEPTED, JournalState.REJECTED)
    assert (first.action is Action.SEND) == is_free
    # Whatever comes later in the same input contradicts it.
    assert second.action is Action.REFUSE
    assert (third.action is Action.REFUSE) == is_free
    with reading(path) as database:
        found = database.execute("SELECT state, digest FROM orders").fetchone()
    assert found == (("rejected", b"") if is_free else (state.value, b"old"))


@virtual_time
async def test_sent_state_is_kept_until_the_order_is_done(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number, state in enumerate(JournalState):
            await journal.admit(entry(number, b"contents"))
            await journal.record(key(number), state, b"{}")
    with reading(path) as database:
        kept = dict(database.execute("SELECT state, payload IS NOT NULL FROM orders").fetchall())
    assert kept == {state.value: int(state not in FINAL) for state in JournalState}


@virtual_time
async def test_first_of_two_rows_is_the_one_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1, position=3))
        for _ in range(2):
            standing = (await journal.admit(entry(1, position=7))).record
            assert (standing.seen, standing.position, standing.place) == (True, 3, "row 3")
    # Where it stands in another input is that input's affair.
    async with Journal.at(path, account=ME) as journal:
        assert not (await journal.admit(entry(1, position=9))).record.seen
        assert (await journal.admit(entry(1))).record.position == 9


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
            await journal.record(key(number), list(JournalState)[number % 6], b"{}")
        found = [kept async for kept in journal.doubts()]
    assert len(found) == 501
    assert [kept.position for kept in found] == sorted(kept.position for kept in found)
    assert {kept.payload for kept in found} == {
        b"%d" % number
        for number in range(1000)
        if list(JournalState)[number % 6]
        in (JournalState.SENDING, JournalState.QUEUED, JournalState.UNKNOWN)
    }


acts = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["admit", "sending", "reopen", *JournalState]),
        st.sampled_from([b"a", b"b"]),
    ),
    max_size=30,
)


@given(acts)
def test_journal_behaves_like_a_dictionary(script: list[tuple[int, Any, bytes]]) -> None:
    import tempfile

    async def main(path: Path) -> None:
        model: dict[int, tuple[JournalState, bytes]] = {}
        seen: set[int] = set()
        async with contextlib.AsyncExitStack() as stack:
            journal = await stack.enter_async_context(Journal.at(path, account=ME))
            for number, act, contents in script:
                if act == "reopen":
                    await stack.aclose()
                    journal = await stack.enter_async_context(Journal.at(path, account=ME))
                    seen.clear()
                elif act == "admit":
                    known = model.get(number)
                    state, old = known or (None, contents)
                    admission = await journal.admit(entry(number, contents))
                    assert admission.record.state is state
                    assert known is None or admission.record.matches == (old == contents)
                    assert admission.record.seen == (number in seen)
                    free = (
                        state in (None, JournalState.ACCEPTED, JournalState.REJECTED)
                        and number not in seen
                    )
                    if known is None or (old != contents and free):
                        assert admission.action is Action.SEND
                        model[number] = (JournalState.ACCEPTED, contents)
                    seen.add(number)
                elif number in model:
                    state = JournalState.SENDING if act == "sending" else act
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


FILES = ("run.db", "run.db-lock", "run.db-shm", "run.db-wal")


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.parametrize("before", [(), ("run.db",), FILES, ("run.db-wal",), ("run.db-lock",)])
@pytest.mark.parametrize("mode", [0o644, 0o666])
@virtual_time
async def test_only_its_owner_can_read_it_whatever_was_there_before(
    before: Sequence[str], mode: int, tmp_path: Path
) -> None:
    for name in before:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        await journal.admit(entry(1))
        assert modes(tmp_path) == dict.fromkeys(FILES, 0o600)


@virtual_time
async def test_journal_readable_by_others_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        for file in tmp_path.glob("run.db*"):
            shutil.copy(file, crashed / file.name)
            (crashed / file.name).chmod(0o644)
    async with Journal.at(crashed / "run.db", account=ME) as journal:
        assert modes(crashed) == dict.fromkeys(FILES, 0o600)
        await journal.admit(entry(2))
    assert set(modes(crashed).values()) == {0o600}


@pytest.mark.parametrize("name", FILES)
@virtual_time
async def test_no_link_beside_it_is_followed(name: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(0o644)
    home = tmp_path / "home"
    home.mkdir()
    (home / name).symlink_to(elsewhere)
    await refused(home / "run.db")
    assert (elsewhere.read_bytes(), stat.S_IMODE(elsewhere.stat().st_mode)) == (b"", 0o644)


HOLD = """
import asyncio, sys
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.timestamp import Timestamp, boot_id

async def main():
    async with Journal.at(sys.argv[1], account=sys.argv[2]):
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.fault("L07")
@pytest.mark.asyncio
async def test_l07_second_process_is_refused_at_once_until_the_first_is_gone(
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


def database_of(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("reference_number,waybill\n" * 1000),
    "a few letters": lambda path: path.write_text("hello"),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "zeros with a journal's number": lambda path: path.write_bytes(
        bytes(68) + b"ClkP" + bytes(10_000)
    ),
    "a database": lambda path: database_of(path, "CREATE TABLE x (y)"),
    "a database with a log": lambda path: database_of(
        path, "PRAGMA journal_mode = WAL; CREATE TABLE x (y)"
    ),
    "a database without tables": lambda path: database_of(path, "CREATE TABLE x (y); DROP TABLE x"),
    "another application's": lambda path: database_of(
        path, "PRAGMA application_id = 7; CREATE TABLE facts (name, value)"
    ),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to a journal": lambda path: path.symlink_to(path.with_name("missing.db")),
}


@pytest.mark.parametrize("what", FOREIGN)
@virtual_time
async def test_file_that_is_no_journal_is_left_alone(what: str, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    FOREIGN[what](path)
    if not path.is_symlink():
        path.chmod(0o755)
    before = (sorted(tmp_path.iterdir()), path.lstat())
    contents = path.read_bytes() if path.is_file() else None
    # Looked at by both: a run, and the count of a journal's orders.
    assert "not a bulk-run journal; choose another file" in await refused(path)
    if path.exists():
        with pytest.raises(JournalError, match="not a bulk-run journal"):
            status(path)
    after = (sorted(tmp_path.iterdir()), path.lstat())
    assert after[0] == before[0]
    assert (after[1].st_mode, after[1].st_mtime_ns) == (before[1].st_mode, before[1].st_mtime_ns)
    assert contents == (path.read_bytes() if path.is_file() else None)


@virtual_time
async def test_lock_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    lock = tmp_path / "run.db-lock"
    lock.write_text("another file of the user")
    assert "is not the lock file of a journal" in await refused(tmp_path / "run.db")
    assert lock.read_text() == "another file of the user"
    assert not (tmp_path / "run.db").exists()


@virtual_time
async def test_counting_its_orders_makes_no_files(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await made(path)
    before = sorted(tmp_path.iterdir())
    assert status(path).counts[JournalState.ACCEPTED] == 3
    assert sorted(tmp_path.iterdir()) == before


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
        (another_database, "not a bulk-run journal"),
        (no_database, "not a bulk-run journal"),
        (damaged, "damaged|could not be read"),
    ],
)
@virtual_time
async def test_l04_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(
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
async def test_l04_log_that_lost_what_was_acknowledged_is_noticed(
    harm: str, tmp_path: Path
) -> None:
    path, log = tmp_path / "run.db", tmp_path / "run.db-wal"
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    async with Journal.at(path, account=ME) as journal:
        for number in range(30):
            await journal.admit(entry(number))
            await journal.sending(key(number))
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
        assert "is missing its last writes" in await refused(path)


@pytest.mark.fault("L04")
@pytest.mark.parametrize("lost", ["the log", "the log and the count"])
@pytest.mark.asyncio
async def test_l04_log_that_is_missing_is_noticed_without_a_count_of_commits_too(
    lost: str, tmp_path: Path
) -> None:
    path, crashed = tmp_path / "run.db", tmp_path / "crashed"
    crashed.mkdir()
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(1))
        await journal.sending(key(1))
        shutil.copy(path, crashed / path.name)
        if lost == "the log":
            shutil.copy(tmp_path / "run.db-lock", crashed / "run.db-lock")
    assert "is missing its last writes" in await refused(crashed / "run.db")
    # Looking at it does not make it good.
    status(crashed / "run.db")
    assert "is missing its last writes" in await refused(crashed / "run.db")
    # Closed properly, a journal needs neither.
    (tmp_path / "run.db-lock").unlink()
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(1))).record.state is JournalState.SENDING


@pytest.mark.fault("L05")
@pytest.mark.asyncio
async def test_l05_journal_that_could_not_be_closed_properly_is_whole_without_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.db"

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def fill_and_fail_to_close() -> None:
        async with Journal.at(path, account=ME) as journal:
            await journal.admit(entry(1))
            await journal.sending(key(1))
            monkeypatch.setattr("clickpost_async.bulk.journal_file._write_settings", fail)

    with pytest.raises(JournalError, match="disk is full"):
        await fill_and_fail_to_close()
    monkeypatch.undo()

    assert not Path(f"{path}-wal").exists()
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(1))).record.state is JournalState.SENDING


@virtual_time
async def test_every_commit_is_flushed_to_the_disk(tmp_path: Path) -> None:
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        database = journal._store._database
        (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
        (mode,) = database.execute("PRAGMA journal_mode").fetchone()
    # FULL: with a log, less is flushed only now and then.
    assert (synchronous, mode) == (2, "wal")


@virtual_time
async def test_time_of_a_doubt_is_that_of_its_last_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = itertools.count(1)
    monkeypatch.setattr(
        Timestamp,
        "now",
        staticmethod(lambda: Timestamp(1000.0 + (n := next(moments)), float(n), "b")),
    )
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        await journal.admit(entry(1))
        ages = []
        for _ in range(3):
            await journal.sending(key(1))
            ages.append((await journal.admit(entry(1))).record.since)
            # Its outcome was unknown before.
            await journal.record(key(1), JournalState.UNKNOWN, b"{}")
            assert (await journal.admit(entry(1))).record.since == ages[-1]
        assert ages == sorted(set(ages), key=lambda since: since.wall)
        assert all(since.wall - 1000 == since.clock for since in ages)
        await journal.record(key(1), JournalState.QUEUED, b"{}")
        assert (await journal.admit(entry(1))).record.since.wall > ages[-1].wall


@virtual_time
async def test_time_of_a_doubt_in_a_run_without_a_journal_is_not_before_its_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Journal.private() as journal:
        admitted = Timestamp(1000.0, 1.0, "b")
        monkeypatch.setattr(Timestamp, "now", staticmethod(lambda: admitted))
        await journal.admit(entry(1))
        await journal.sending(key(1))

        failed = Timestamp(1060.0, 61.0, "b")
        monkeypatch.setattr(Timestamp, "now", staticmethod(lambda: failed))
        await journal.record(key(1), JournalState.UNKNOWN, b"{}")

        assert (await journal.admit(entry(1))).record.since == failed


# --- a journal of version 1 ---------------------------------------------------------------------

VERSION_1 = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE orders (
    market TEXT NOT NULL,
    reference_number TEXT NOT NULL,
    position INTEGER NOT NULL,
    row INTEGER,
    state TEXT NOT NULL,
    digest BLOB NOT NULL,
    payload BLOB,
    outcome BLOB,
    attempts INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL,
    boot TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (market, reference_number)
) WITHOUT ROWID;
CREATE INDEX doubts ON orders (position) WHERE state IN ('sending', 'unknown', 'queued');
PRAGMA application_id = 1131178832;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO facts VALUES ('account', 'acme at https://www.clickpost.in/api'), ('run', 1),
    ('commits', 7), ('clean', 1);
"""


def version_1(path: Path, rows: Sequence[tuple[object, ...]]) -> None:
    """Make a journal as the first release did, and close it as it did."""
    database_of(path, VERSION_1)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            "INSERT INTO orders (market, reference_number, position, row, state, digest, payload,"
            " outcome, attempts, since, boot, run)"
            " VALUES ('india', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            rows,
        )
    path.with_name(f"{path.name}-lock").write_bytes(b"%020d" % 7)


@virtual_time
async def test_journal_of_version_1_is_migrated_without_its_ages(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    hour_ago = time.time() - 3600
    version_1(
        path,
        [
            (f"R-{n}", n, n + 2, state.value, b"{}", b"{}", b"{}", 1, hour_ago, boot_id())
            for n, state in enumerate(JournalState)
        ],
    )
    assert sum(status(path).counts.values()) == len(JournalState)
    for _ in range(2):
        async with Journal.at(path, account=ME) as journal:
            for number, state in enumerate(JournalState):
                standing = (await journal.admit(entry(number))).record
                assert (standing.state, standing.matches, standing.outcome) == (state, True, b"{}")
                assert standing.since == Timestamp(hour_ago, None, boot_id())
                assert standing.since.left_of(30, Timestamp.now()) == 30
                assert not standing.since.is_older_than(86_400, Timestamp.now())
    async with Journal.at(path, account=ME) as journal:
        await journal.sending(key(0))
        assert (await journal.admit(entry(0))).record.since.clock is not None
    with reading(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (3,)
    assert status(path).counts[JournalState.SENDING] == 2


@virtual_time
async def test_journal_of_version_1_without_its_log_is_refused_unchanged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    version_1(path, [])
    database_of(path, "UPDATE facts SET value = 0 WHERE name = 'clean'")
    path.with_name("run.db-lock").write_bytes(b"%020d" % 8)
    before = path.read_bytes()
    assert "is missing its last writes" in await refused(path)
    assert path.read_bytes() == before


@pytest.mark.fault("L06")
@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("nowhere/run.db", "could not be read or written"),
        ("/proc/run.db", "could not be read or written"),
        ("a-directory", "not a bulk-run journal"),
        ("/dev/null", "not a bulk-run journal"),
    ],
)
@virtual_time
async def test_l06_path_that_cannot_be_written_is_refused(
    where: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "a-directory").mkdir()
    assert words in await refused(tmp_path / where)
    assert not Path("/dev/null-lock").exists()


FILL = """
import asyncio, resource, sys
from clickpost_async.bulk import JournalError
from clickpost_async.bulk.journal import Journal
from clickpost_async.bulk.timestamp import Timestamp, boot_id
from tests.bulk.test_journal import ME, entry, key

async def main():
    acknowledged = 0
    async with Journal.at(sys.argv[1], account=ME) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            while acknowledged < 5000:
                await journal.admit(entry(acknowledged, b"x" * 1000))
                await journal.sending(key(acknowledged))
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
async def test_l05_full_disk_stops_the_run_and_loses_nothing_acknowledged(
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
async def test_l13_failed_writer_fails_waiting_and_later_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        await journal.admit(entry(0))

        def dies(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr(journal._store, "commit", dies)
        waiting = [asyncio.ensure_future(journal.sending(key(n))) for n in range(1, 10)]
        waiting += [asyncio.ensure_future(journal.admit(entry(n))) for n in range(10, 20)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        monkeypatch.undo()
        with pytest.raises(JournalError, match="MemoryError"):
            await journal.sending(key(0))
        with pytest.raises(JournalError, match="MemoryError"):
            await journal.admit(entry(20))
    assert {type(outcome) for outcome in outcomes} == {JournalError}


@virtual_time
async def test_write_that_waits_behind_a_failed_one_fails_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Journal.at(tmp_path / "run.db", account=ME) as journal:
        for number in (1, 2):
            await journal.admit(entry(number))
        commit, failures = journal._store.commit, iter([MemoryError()])

        def dies_once(acts: Any, *, durable: bool) -> Any:
            for failure in failures:
                raise failure
            return commit(acts, durable=durable)

        monkeypatch.setattr(journal._store, "commit", dies_once)
        results = await asyncio.gather(
            journal.sending(key(1)), journal.sending(key(2)), return_exceptions=True
        )
        assert [type(result) for result in results] == [JournalError, JournalError]
    assert states(tmp_path / "run.db") == {"R-1": "accepted", "R-2": "accepted"}


# --- looked at from outside ---------------------------------------------------------------------


@virtual_time
async def test_its_status_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        for number, state in enumerate([*JournalState, JournalState.PLACED]):
            await journal.admit(entry(number))
            await journal.record(key(number), state, b"{}")
        found = status(path)
    assert found == status(path)
    assert (found.account, found.in_doubt) == (ME, 3)
    assert found.counts == {**dict.fromkeys(JournalState, 1), JournalState.PLACED: 2}
    assert found.oldest_doubt is not None
    with pytest.raises(JournalError, match="there is no journal"):
        status(tmp_path / "nothing.db")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(JournalError):
        status(tmp_path / "text")


@virtual_time
async def test_status_of_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.touch()
    with pytest.raises(JournalError, match="not a bulk-run journal"):
        status(path)


@pytest.mark.fault("L06")
@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["run.db", "run.db-lock"])
@pytest.mark.parametrize("is_replaced", [False, True])
async def test_l06_journal_that_is_deleted_or_replaced_under_way_stops_the_run(
    name: str, is_replaced: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(0))
        await journal.sending(key(0))
        (tmp_path / name).rename(tmp_path / "moved")
        if is_replaced:
            shutil.copy(tmp_path / "moved", tmp_path / name)

        with pytest.raises(JournalError, match="deleted, moved or replaced"):
            await journal.sending(key(0))

        (tmp_path / "moved").replace(tmp_path / name)
        with pytest.raises(JournalError, match="deleted, moved or replaced"):
            await journal.record(key(0), JournalState.PLACED, b"{}")

    # Put back, it is whole: the write that failed is not in it.
    assert states(path) == {"R-0": "sending"}


@pytest.mark.asyncio
async def test_journal_is_found_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Journal.at("run.db", account=ME) as journal:
        await journal.admit(entry(0))
        monkeypatch.chdir("/")
        await journal.sending(key(0))

    assert states(tmp_path / "run.db") == {"R-0": "sending"}


@pytest.mark.fault("L08")
@pytest.mark.asyncio
@pytest.mark.parametrize("is_new", [True, False])
async def test_l08_journal_whose_opening_was_cancelled_can_be_opened_again(
    is_new: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.db"
    if not is_new:
        async with Journal.at(path, account=ME) as journal:
            await journal.admit(entry(0))
            await journal.sending(key(0))

    for turns in range(4):
        opening = asyncio.ensure_future(Journal.at(path, account=ME).__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

        async with Journal.at(path, account=ME) as journal:
            await journal.count_unseen()

    assert states(path) == ({} if is_new else {"R-0": "sending"})


@virtual_time
async def test_deleted_journal_can_be_started_again(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with Journal.at(path, account=ME) as journal:
        await journal.admit(entry(0))
        await journal.sending(key(0))
    # Its lock file stays, and counts the commits of the deleted one.
    assert int((tmp_path / "run.db-lock").read_bytes()) > 0
    path.unlink()
    async with Journal.at(path, account=ME) as journal:
        assert (await journal.admit(entry(0))).record.state is None
