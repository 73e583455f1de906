"""A bulk run that kills itself at one point of one transition of its journal."""

import argparse
import asyncio
import os
import signal
import sqlite3
from typing import Any

from clickpost_async.bulk import journal_file
from clickpost_async.bulk.journal_file import JournalFile
from clickpost_async.bulk.sqlite import JournalStore
from tests.bulk.killed_run import push

TRANSITIONS = ("admit", "mark_sending", "record")
POINTS = ("before it is written", "before the commit", "after the commit", "after the count")


class Dying:
    """A database connection that is watched for the transition, and kills at the point."""

    def __init__(self, database: sqlite3.Connection, transition: str, point: str) -> None:
        self._database = database
        self._transition = transition
        self._point = point
        self._armed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def arm(self) -> None:
        self._armed = True
        self.reach("before it is written")

    def reach(self, point: str) -> None:
        if self._armed and point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return self._database.execute(sql, *values)
        self.reach("before the commit")
        done = self._database.execute(sql)
        self.reach("after the commit")
        return done


def die_at(transition: str, point: str) -> None:
    opened, act, count = (
        JournalFile._open,
        getattr(JournalStore, transition),
        journal_file._write_count,
    )
    dying: list[Dying] = []

    def watched(self: JournalFile, account: str) -> Any:
        dying.append(Dying(opened(self, account), transition, point))
        return dying[0]

    def armed(self: JournalStore, *values: Any) -> Any:
        dying[0].arm()
        return act(self, *values)

    def counted(*values: Any) -> None:
        count(*values)
        if dying:
            dying[0].reach("after the count")

    JournalFile._open = watched  # type: ignore[method-assign]
    setattr(JournalStore, transition, armed)
    journal_file._write_count = counted


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("journal")
    parser.add_argument("--at", nargs=2)
    given = parser.parse_args()
    if given.at:
        die_at(*given.at)
    asyncio.run(push(given.url, given.journal, orders=4, settling=0.3, look_up=True))
