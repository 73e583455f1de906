"""Kill processes while they create a journal, and check that it can be opened again.

Each is forked from this one, which has no other threads: a hundred of them take a second.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clickpost_async._util import private_files
from clickpost_async.bulk import journal_file
from clickpost_async.bulk.journal_file import JournalFile
from clickpost_async.bulk.records import JournalEntry
from clickpost_async.bulk.sqlite import JournalStore

ME = "acme at https://www.clickpost.in/api"
ENTRY = JournalEntry(key=("india", "R-1"), position=0, row=2, payload=b"{}", digest=b"{}")


class Countdown:
    """Kills this process at its n-th step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A database connection that counts the statements, before and after each."""

    def __init__(self, database: sqlite3.Connection, step: Countdown) -> None:
        self._database = database
        self._step = step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._database, name)
        return counted(found, self._step) if callable(found) else found


def counted(act: Callable[..., Any], step: Countdown) -> Callable[..., Any]:
    def run(*values: Any, **named: Any) -> Any:
        step()
        done = act(*values, **named)
        step()
        return done

    return run


def use(path: Path) -> None:
    """Open a journal, take an order in, and close it."""
    journal = JournalFile(path, account=ME)
    journal.commit([lambda: JournalStore.admit(journal, ENTRY)])
    journal.close()


def use_and_die_after(steps: int, path: Path) -> None:
    step = Countdown(steps)
    connect = sqlite3.connect

    class Module:
        """What `journal_file` knows as sqlite3."""

        Error, DatabaseError, Connection = (
            sqlite3.Error,
            sqlite3.DatabaseError,
            sqlite3.Connection,
        )

        @staticmethod
        def connect(*values: Any, **named: Any) -> Any:
            step()
            return Dying(connect(*values, **named), step)

    journal_file.sqlite3 = Module  # type: ignore[attr-defined]
    for name in ("open", "ftruncate", "write", "close"):
        setattr(os, name, counted(getattr(os, name), step))
    assert private_files.os is os  # type: ignore[attr-defined]
    use(path)


def use_and_die_at_size(size: int, path: Path) -> None:
    """Be killed by the first write that would make a file larger; what fits of it is written."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    use(path)


def in_child(act: Callable[[], None]) -> int:
    """Return how a child ended that does something: 0, or the signal that killed it."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - printed, and the child exits at once
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def crash(folder: Path, name: str, die: Callable[[Path], None]) -> tuple[bool, bool]:
    """Return whether a process was killed, and whether the next one could go on."""
    home = folder / name
    home.mkdir()
    path = home / "run.db"
    ended = in_child(lambda: die(path))
    assert ended in (0, -signal.SIGKILL, -signal.SIGXFSZ), (name, ended)
    again = in_child(lambda: use(path))
    if again == 0:
        shutil.rmtree(home)
    return ended != 0, again == 0


def main(folder: Path) -> None:
    killed, unusable = {"step": 0, "size": 0}, []
    for steps in range(1000):
        dead, usable = crash(
            folder, f"step-{steps}", lambda path, steps=steps: use_and_die_after(steps, path)
        )
        killed["step"] += dead
        if not usable:
            unusable.append(f"step {steps}")
        if not dead:
            break
    for size in range(0, 1 << 20, 1024 - 96):
        dead, usable = crash(
            folder, f"size-{size}", lambda path, size=size: use_and_die_at_size(size, path)
        )
        killed["size"] += dead
        if not usable:
            unusable.append(f"size {size}")
        if not dead:
            break
    print(json.dumps({"killed": killed, "unusable": unusable}))  # noqa: T201 - for the test


if __name__ == "__main__":
    main(Path(sys.argv[1]))
