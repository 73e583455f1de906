"""Orders created by many processes, each once, even if some crash. Needs the redis extra."""

from importlib.util import find_spec

if find_spec("redis") is None:
    raise ImportError("a fleet needs the redis extra: pip install 'clickpost_async[redis]'")

from clickpost_async.fleet.fleet import Fleet
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.messages import created
from clickpost_async.fleet.worker import OrderTerms, Worker

__all__ = ["Fleet", "Ledger", "OrderTerms", "Worker", "created"]
