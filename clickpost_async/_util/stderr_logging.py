"""The log switch: `CLICKPOST_LOG=debug` shows the package's log lines on standard error."""

import logging
import os
import threading

_VARIABLE = "CLICKPOST_LOG"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO}
_lock = threading.Lock()


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic for type checkers alone
    """Write to standard error as long as the application has set up no logging of its own."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def log_to_stderr_if_enabled() -> None:
    """Add a handler to the package's logger if `CLICKPOST_LOG` is set, once.

    Nothing is changed where the application has given this logger or the root logger a handler.

    Raises:
        ValueError: The variable is something else than `debug` or `info`.

    """
    level = os.environ.get(_VARIABLE, "").strip().lower()
    if not level:
        return
    if level not in _LEVELS:
        raise ValueError(f"{_VARIABLE} must be debug or info; got {level[:20]!r}")
    logger = logging.getLogger("clickpost_async")
    with _lock:
        handlers = (*logger.handlers, *logging.getLogger().handlers)
        if any(not isinstance(handler, logging.NullHandler) for handler in handlers):
            return
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(_LEVELS[level])
