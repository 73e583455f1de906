"""Orders created by many processes, each once, even if some crash. Needs the redis extra."""

try:
    import redis as _redis  # noqa: F401 - everything below needs it
except ImportError as _error:
    _message = "a fleet needs the redis extra: pip install 'clickpost_async[redis]'"
    raise ImportError(_message) from _error

from clickpost_async.fleet.fleet import Fleet
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.messages import created
from clickpost_async.fleet.worker import OrderTerms, Worker

__all__ = ["Fleet", "Ledger", "OrderTerms", "Worker", "created"]
