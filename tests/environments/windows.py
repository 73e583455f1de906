"""A rehearsal for Windows: removes from this process what Windows lacks, then runs the client.

`python -m tests.environments.windows` runs it, and `-m tests.environments.windows clickpost …` the
command line. Output goes to a pipe as there: in the ANSI code page, which cannot write everything.
What cannot be rehearsed is Windows' ProactorEventLoop itself, though not its lack of `add_reader`
and signal handlers, and Windows' paths and its rules for open files.
"""

import asyncio
import errno
import io
import os
import select
import signal
import socket
import struct
import sys
import time
import types
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

_LACKS: dict[types.ModuleType, tuple[str, ...]] = {
    os: (
        *("O_NOFOLLOW", "O_CLOEXEC", "O_DSYNC", "O_SYNC"),
        *("chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getgid", "getuid", "killpg"),
        *("getloadavg", "mkfifo", "nice", "openpty", "posix_fallocate", "posix_spawn", "pread"),
        *("pwrite", "register_at_fork", "sched_getaffinity", "sendfile", "set_blocking", "setsid"),
        *("statvfs", "sysconf", "uname", "wait", "wait3", "wait4", "waitid", "WNOHANG"),
    ),
    select: ("epoll", "poll"),
    signal: (
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP"),
        *("SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "pthread_kill", "pthread_sigmask"),
        *("setitimer", "siginterrupt", "sigwait"),
    ),
    socket: ("AF_UNIX", "MSG_DONTWAIT", "MSG_NOSIGNAL", "SCM_RIGHTS", "SO_REUSEPORT"),
    time: ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime", "tzset"),
}
_MODULES = (
    *("curses", "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"),
    "uvloop",
)
_FILES = ("/proc/", "/dev/shm")
_GO_BY_SYSTEM = ("multiprocessing.util", "pytest", "redis.asyncio", "subprocess", "trio", "uvicorn")
# ProactorEventLoop has none of them.
_LOOP_LACKS = (
    *("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"),
    *("create_unix_connection", "create_unix_server"),
)


def take_away() -> None:
    """Take away what Windows lacks; before the package is imported."""
    assert "clickpost_async" not in sys.modules, "it has seen what there is"
    # Libraries that go by the name of the system, which stays.
    for name in _GO_BY_SYSTEM:
        import_module(name)
    # Windows has pairs of sockets for its event loops, but makes them another way.
    socket.socketpair = partial(socket.socketpair, socket.AF_UNIX)
    sys.modules["msvcrt"] = _msvcrt()
    for name in _MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in _LACKS.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for kind in (asyncio.SelectorEventLoop, asyncio.AbstractEventLoop):
        for name in _LOOP_LACKS:
            setattr(kind, name, _refused)
    sys.addaudithook(_refuse_files)
    # Files are read and written in the ANSI code page where no encoding is named.
    warnings.filterwarnings("error", category=EncodingWarning, module="clickpost_async")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="cp1252", errors=stream.errors)


def _refused(*_: Any) -> NoReturn:
    # As asyncio's own do for what the event loop of Windows lacks.
    raise NotImplementedError


def _refuse_files(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).startswith(_FILES):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments[0])


def _msvcrt() -> types.ModuleType:
    """Make Windows' locks of the system's: of an open file, for a range of it, and not waiting."""
    import fcntl

    made = types.ModuleType("msvcrt")
    refused: Callable[[int, int, bytes], bytes] = fcntl.fcntl
    command, kinds = fcntl.F_OFD_SETLK, {0: fcntl.F_UNLCK, 2: fcntl.F_WRLCK}

    def locking(descriptor: int, mode: int, length: int) -> None:
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            lock = struct.pack("hhqqi4x", kinds[mode], os.SEEK_SET, start, length, 0)
            refused(descriptor, command, lock)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None

    made.locking = locking  # type: ignore[attr-defined]
    made.LK_UNLCK, made.LK_LOCK, made.LK_NBLCK = 0, 1, 2  # type: ignore[attr-defined]
    return made


def rehearse() -> None:
    """Run the contract, and two bulk runs at one journal; raises where it does not hold."""
    import tempfile
    from pathlib import Path

    from tests.environments.contract import CONTRACT, NEEDS_ASYNCIO, client, started_sandbox
    from tests.environments.runners import on_asyncio

    for name, check in CONTRACT.items():
        # A worker of a fleet is not started on Windows: Redis has none for it.
        if name not in NEEDS_ASYNCIO:
            with tempfile.TemporaryDirectory() as folder:
                check(on_asyncio, Path(folder))
            print(f"{name}: passed", flush=True)  # noqa: T201 - what it was started for
    with tempfile.TemporaryDirectory() as folder, started_sandbox() as sandbox:
        on_asyncio(lambda: _locked(client(sandbox.base_url), Path(folder) / "run.db"))
    print("a journal is locked: passed", flush=True)  # noqa: T201 - as above


async def _locked(clickpost: Any, journal: Any) -> None:
    from clickpost_async.bulk import create
    from clickpost_async.bulk.records import JournalError
    from tests.sandbox.samples import india_order

    async with clickpost, create(clickpost, [india_order("R-1")], journal=journal) as run:
        _ = [outcome async for outcome in run]
        try:
            async with create(clickpost, [india_order("R-2")], journal=journal) as second:
                _ = [outcome async for outcome in second]
        except JournalError as error:
            if "in use" not in str(error):
                raise
        else:
            message = "two runs have one journal"
            raise AssertionError(message)


def main() -> None:
    take_away()
    if sys.argv[1:2] == ["clickpost"]:
        from clickpost_async.cli import main as clickpost

        del sys.argv[1]
        clickpost()
        return
    rehearse()


if __name__ == "__main__":
    main()
