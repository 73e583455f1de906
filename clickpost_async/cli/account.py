"""The account of the command line: the key comes from the environment, a file or a keyring.

Never from an argument: every user of the machine can read the arguments of a process.
"""

import importlib
import os
from pathlib import Path

from attrs import field, frozen

from clickpost_async._core.auth import API_KEY_VARIABLES
from clickpost_async.client import ClickPost
from clickpost_async.limits import Limiter

_NO_ACCOUNT = """\
no account: {missing} not set; set CLICKPOST_USERNAME, and the key in one of
  CLICKPOST_API_KEY   the key itself
  CLICKPOST_KEY_FILE  a file that only you can read
  a keyring           keyring set clickpost USERNAME
To try it without an account, run `clickpost sandbox`: it prints what to set."""


@frozen
class FoundKey:
    """The API key, and the place that it was found in."""

    key: str = field(repr=False)
    source: str


def client(
    limiter: Limiter | None = None, *, rate: str | None = None, max_concurrency: int = 100
) -> ClickPost:
    """Return the client that the environment configures, or exit with what is missing."""
    found = find_key()
    _require_account(found)
    # The client reads its own variables, and names them in its errors.
    key = found.key if found and found.source not in API_KEY_VARIABLES else None
    try:
        return ClickPost(api_key=key, limiter=limiter, rate=rate, max_concurrency=max_concurrency)
    except ValueError as error:
        raise SystemExit(str(error)) from None


def _require_account(found: FoundKey | None) -> None:
    needed = {"CLICKPOST_USERNAME": os.environ.get("CLICKPOST_USERNAME"), "the API key": found}
    if missing := [name for name, value in needed.items() if not value]:
        raise SystemExit(_NO_ACCOUNT.format(missing=" and ".join(missing)))


def find_key() -> FoundKey | None:
    """Return the key of the environment, else of the file, else of the keyring."""
    for name in API_KEY_VARIABLES:
        if key := os.environ.get(name):
            return FoundKey(key, name)
    if key := _from_file():
        return FoundKey(key, "CLICKPOST_KEY_FILE")
    if key := _from_keyring(os.environ.get("CLICKPOST_USERNAME", "")):
        return FoundKey(key, "the keyring")
    return None


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
