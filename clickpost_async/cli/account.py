"""The account of the command line: the key comes from the environment, a file or a keyring.

Never from an argument: every user of the machine can read the arguments of a process.
"""

import importlib
import os
from pathlib import Path

from clickpost_async.client import ClickPost
from clickpost_async.limits import Limiter

_NO_KEY = """\
set CLICKPOST_USERNAME, and the key in one of
  CLICKPOST_API_KEY      the key itself
  CLICKPOST_KEY_FILE     a file with the key, readable by you alone
  a keyring              keyring set clickpost <username> (needs the package keyring)"""


def client(
    limiter: Limiter | None = None, *, rate: str | None = None, max_concurrency: int = 100
) -> ClickPost:
    """Return the client that the environment configures, or exit with what is missing."""
    username = os.environ.get("CLICKPOST_USERNAME", "")
    api_key = None
    if not any(os.environ.get(name) for name in ("CLICKPOST_API_KEY", "CLICKPOST_KEY")):
        api_key = _from_file() or _from_keyring(username)
    try:
        return ClickPost(
            api_key=api_key, limiter=limiter, rate=rate, max_concurrency=max_concurrency
        )
    except ValueError as error:
        message = str(error)
        raise SystemExit(f"{message}\n{_NO_KEY}" if "missing" in message else message) from None


def _from_file() -> str | None:
    named = os.environ.get("CLICKPOST_KEY_FILE")
    if not named:
        return None
    file = Path(named)
    try:
        if file.stat().st_mode & 0o077:
            raise SystemExit(f"{file}: others can read the key; chmod 600 it")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SystemExit(f"{file}: {error.strerror}") from None


def _from_keyring(username: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    found: str | None = keyring.get_password("clickpost", username)
    return found
