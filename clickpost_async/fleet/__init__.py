"""Orders created by many processes, each once, even if some crash. Needs the redis extra."""

from clickpost_async.fleet.fleet import Fleet
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.messages import created
from clickpost_async.fleet.worker import OrderTerms, Worker

__all__ = ["Fleet", "Ledger", "OrderTerms", "Worker", "created"]
