"""Orders created by many processes, each once, even if some crash. Needs the redis extra."""

from importlib.util import find_spec

from clickpost_async._util import extras

if find_spec("redis") is None:
    raise extras.not_installed("a fleet needs the redis extra", "clickpost_async[redis]")

from clickpost_async.fleet.fleet import Fleet
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.messages import created
from clickpost_async.fleet.worker import OrderTerms, Worker

__all__ = ["Fleet", "Ledger", "OrderTerms", "Worker", "created"]
