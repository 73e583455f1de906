"""A real PostgreSQL server for tests, from Debian's package or the path."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest

from tests.helpers.programs import program
from tests.helpers.redis_server import free_port


class PostgresServer:
    """A server on a free port, with a directory of its own; gone at the end of `with`.

    `environ` is what lets libpq find it.
    """

    def __init__(self) -> None:
        self._programs = Path(program("postgres")).resolve().parent
        # Not in pytest's own, which only root may enter, and a server must not be root.
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self._directory / "data"
        self._as_whom: dict[str, Any] = {"cwd": self._directory}
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self._directory, user.pw_uid, user.pw_gid)
            self._as_whom |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.environ = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(free_port()),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        made = subprocess.run(
            [
                self._programs / "initdb",
                *("--pgdata", self._data, "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=False,
            capture_output=True,
            **self._as_whom,
        )
        assert made.returncode == 0, made.stderr.decode()
        settings = {
            "listen_addresses": self.environ["PGHOST"],
            "port": self.environ["PGPORT"],
            "unix_socket_directories": "",
            "fsync": "off",
        }
        self._process = subprocess.Popen(
            [
                self._programs / "postgres",
                *("-D", self._data),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_whom,
        )
        for _ in range(1000):
            try:
                self.query("SELECT 1")
            except psycopg.OperationalError:
                time.sleep(0.01)
            else:
                return self
        pytest.fail("PostgreSQL did not respond within 10 s of its start")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            # At once; its own children would outlive a SIGKILL.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def query(self, query: str) -> list[tuple[Any, ...]]:
        """Ask it something, and return the rows."""
        with self._connect() as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str, *, user: str | None = None) -> None:
        """Run a statement that returns no rows, as another user if one is given."""
        with self._connect(user) as connection:
            connection.execute(statement.encode())

    def _connect(self, user: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        where = {name.removeprefix("PG").lower(): value for name, value in self.environ.items()}
        where["dbname"] = where.pop("database")
        return psycopg.connect(**where | ({"user": user} if user else {}), autocommit=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for all tests."""
    with PostgresServer() as server:
        yield server
