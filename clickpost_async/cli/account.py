"""Whose account it is: the key comes from the environment, a file or a keyring, and from nowhere
else, since arguments are seen by everybody on the machine.
"""

import importlib
import os
from pathlib import Path

from clickpost_async.client import ClickPost
from clickpost_async.limits import Limiter

_NO_KEY = """\
no account: set CLICKPOST_USERNAME, and the key in one of
  CLICKPOST_API_KEY      the key itself
  CLICKPOST_KEY_FILE     a file with the key, readable by you alone
  a keyring              keyring set clickpost <username> (needs the package keyring)"""


def client(limiter: Limiter | None = None, *, rate: str | None = None) -> ClickPost:
    """Make the client that the environment describes, or end with what is missing."""
    environ = dict(os.environ) | ({} if rate is None else {"CLICKPOST_RATE": rate})
    if not (environ.get("CLICKPOST_API_KEY") or environ.get("CLICKPOST_KEY")):
        environ["CLICKPOST_API_KEY"] = _from_file(environ) or _from_keyring(environ) or ""
    try:
        return ClickPost.from_env(environ, limiter=limiter)
    except ValueError as error:
        known = environ.get("CLICKPOST_USERNAME") and (
            environ.get("CLICKPOST_API_KEY") or environ.get("CLICKPOST_KEY")
        )
        raise SystemExit(str(error) if known else f"{error}\n{_NO_KEY}") from None


def _from_file(environ: dict[str, str]) -> str | None:
    named = environ.get("CLICKPOST_KEY_FILE")
    if not named:
        return None
    file = Path(named)
    try:
        if file.stat().st_mode & 0o077:
            raise SystemExit(f"{file}: others can read the key; chmod 600 it")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SystemExit(f"{file}: {error.strerror}") from None


def _from_keyring(environ: dict[str, str]) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    found: str | None = keyring.get_password("clickpost", environ.get("CLICKPOST_USERNAME", ""))
    return found
