"""Disks: their contents after a process is killed, and after a power loss.

Journals are real SQLite files in a folder of shared memory. Their connections are watched: at every
commit the process may be killed, before it or after it, and a commit without `PRAGMA synchronous`
at FULL is lost when the power goes.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.simulation.history import Key
from tests.simulation.world import Killed

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

_connect = sqlite3.connect
_FULL = 2
_WRITES = ("COMMIT", "END", "INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER")
_MODES = ("PRAGMA JOURNAL_MODE", "PRAGMA APPLICATION_ID", "PRAGMA USER_VERSION", "PRAGMA WAL_CHECK")

Files = Mapping[str, bytes]


class Disk:
    """Keeps the files of a machine from one process to the next."""

    def __init__(self, world: "World", root: Path) -> None:
        self.world = world
        self.files: Files = {}
        # For the control: what is reported as durable is not.
        self.asynchronous = False
        self._root = root
        self._made = 0

    def folder(self, process: "Process") -> "Folder":
        """Give a process the files, in a folder of its own."""
        self._made += 1
        path = self._root / f"disk-{self._made}"
        path.mkdir()
        for name, content in self.files.items():
            (path / name).write_bytes(content)
        process.folder = Folder(self, process, path)
        return process.folder


class Folder:
    """The disk as one process has it."""

    def __init__(self, disk: Disk, process: "Process", path: Path) -> None:
        self.disk = disk
        self.path = path
        self.process = process
        self.kill_at_write: int | None = None
        self.writes = 0
        self.connections: list[sqlite3.Connection] = []
        # What would be there if the power went now; nothing: all that is written.
        self._synced: Files | None = None
        self._count_before = b""

    # --- writes -----------------------------------------------------------------------------------

    def before_write(self, connection: "WatchedConnection") -> None:
        """Note that a transaction is about to be committed."""
        self._reach("before a write")
        (mode,) = sqlite3.Connection.execute(connection, "PRAGMA synchronous").fetchone()
        if mode >= _FULL:
            self._synced = None
        elif self._synced is None:
            self._synced = self._read()

    def after_write(self) -> None:
        """Note that it has been committed."""
        self._reach("after a write")

    def before_count(self) -> None:
        """Note that the lock file is about to be written."""
        lock = self.path / "run.db-lock"
        self._count_before = lock.read_bytes() if lock.exists() else b""

    def _reach(self, where: str) -> None:
        if not self.process.alive:
            raise Killed
        self.writes += 1
        if self.kill_at_write is not None and self.writes >= self.kill_at_write:
            self.process.kill(f"{where} ({self.writes})")
            raise Killed

    def _read(self) -> Files:
        return {
            file.name: file.read_bytes()
            for file in sorted(self.path.iterdir())
            if not file.name.endswith("-shm")
        }

    def capture(self, *, power_cut: bool) -> None:
        """Keep what is on the disk when the process ends, for the next one."""
        files = dict(self._read())
        if power_cut:
            if self._synced is not None:
                self.disk.world.note(self.process.name, "what was not synced is lost")
                files = dict(self._synced)
            # It is written and not synced: it may be there or not.
            elif "run.db-lock" in files and self.disk.world.chance(0.5):
                files["run.db-lock"] = self._count_before
        self.disk.files = files

    def close(self) -> None:
        """Close what the process has left open, and remove the folder."""
        for connection in self.connections:
            sqlite3.Connection.close(connection)
        shutil.rmtree(self.path, ignore_errors=True)

    # --- what is there ----------------------------------------------------------------------------

    def states(self, name: str = "run.db") -> dict[Key, str]:
        """Return the state of each order, as it would be found after a power cut."""
        if self._synced is None:
            return _states(self.path / name)
        with tempfile.TemporaryDirectory(dir=self.disk._root) as copy:
            for file, content in self._synced.items():
                (Path(copy) / file).write_bytes(content)
            return _states(Path(copy) / name)


def states_in(files: Files, root: Path, name: str = "run.db") -> dict[Key, str]:
    """Return the state of each order in a journal that is not open."""
    with tempfile.TemporaryDirectory(dir=root) as copy:
        for file, content in files.items():
            (Path(copy) / file).write_bytes(content)
        return _states(Path(copy) / name)


def _states(path: Path) -> dict[Key, str]:
    if not path.exists():
        return {}
    reader = _connect(path)
    try:
        rows = reader.execute("SELECT market, reference_number, state FROM orders").fetchall()
    except sqlite3.Error:
        return {}
    finally:
        reader.close()
    return {(market, reference): state for market, reference, state in rows}


class WatchedConnection(sqlite3.Connection):
    """A connection whose process may be killed at every write."""

    folder: Folder | None = None

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Execute a statement."""
        if self.folder is not None and self.folder.disk.asynchronous:
            sql = sql.replace("synchronous = FULL", "synchronous = OFF")
        return self._watched(sql, lambda: sqlite3.Connection.execute(self, sql, *parameters))

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Execute a statement with many values."""
        return self._watched(sql, lambda: sqlite3.Connection.executemany(self, sql, parameters))

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Execute statements one by one, so that each is a write."""
        cursor = self.cursor()
        statement = ""
        for part in script.split(";"):
            statement += part + ";"
            if statement.strip(" \n;") and sqlite3.complete_statement(statement):
                self.execute(statement)
                statement = ""
        return cursor

    def _watched(self, sql: str, act: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        folder = self.folder
        head = sql.lstrip().upper()
        commits = head.startswith(("COMMIT", "END"))
        writes = head.startswith((*_WRITES, *_MODES)) and not self.in_transaction
        if folder is None or not (commits or writes):
            return act()
        folder.before_write(self)
        done = act()
        folder.after_write()
        return done


@contextmanager
def watched(world: "World") -> Iterator[None]:
    """Watch every journal that is opened by a process of the world."""
    pwrite = os.pwrite

    def connect(*args: Any, **options: Any) -> Any:
        folder = world.current.folder if world.current else None
        if folder is None:
            return _connect(*args, **options)
        connection = _connect(*args, factory=WatchedConnection, **options)
        connection.folder = folder
        folder.connections.append(connection)
        return connection

    def sim_pwrite(*args: Any) -> int:
        folder = world.current.folder if world.current else None
        if folder is not None:
            folder.before_count()
        written = pwrite(*args)
        if folder is not None:
            folder.after_write()
        return written

    with (
        mock.patch.object(sqlite3, "connect", connect),
        mock.patch.object(os, "pwrite", sim_pwrite),
    ):
        yield
