"""The names of an account's keys in Redis, the same in every process."""

import re

_is_name = re.compile(r"[^{}\s]+").fullmatch


def key_prefix(account: str) -> str:
    """Return the prefix of all keys of an account, which a cluster stores on one node.

    Raises:
        ValueError: The name is empty, or has braces or blanks.

    """
    if not _is_name(account):
        message = (
            "account must be a name without braces or blanks, the same in all processes;"
            f" got {account[:20]!r}"
        )
        raise ValueError(message)
    return f"clickpost:{{{account}}}:"
