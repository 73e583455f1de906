"""Messages of the commands, to standard error, and their interruption."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn, TextIO

_USAGE = 2
# How many messages of one kind are printed.
MAX_SHOWN = 10
_OPTIONS = {
    "header_row=": "--header-row ",
    "sheet=…": "--sheet NAME",
    "(date_format, like ": "(--date-format ",
}


def print_message(text: object) -> None:
    """Print a message to standard error; the command goes on if that cannot be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # The terminal or the reader is gone, or the disk is full.
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Discard what is written to a stream that fails, buffered text included.

    That would fail again when the process exits, and change its exit code.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def end_with_usage_error(*lines: object) -> NoReturn:
    """Print what is wrong with the command, and exit."""
    for line in lines:
        print_message(line)
    raise SystemExit(_USAGE)


@contextmanager
def interruptible() -> Generator[None]:
    """Let Ctrl-C end what does not await; asyncio's own handler takes effect at the next await."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def name_options(problem: object) -> str:
    """Return a problem with the options of the command in place of parameters."""
    text = str(problem)
    for parameter, option in _OPTIONS.items():
        text = text.replace(parameter, option)
    return text
