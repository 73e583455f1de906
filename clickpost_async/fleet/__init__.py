"""Orders that many processes create: each once, whoever of them dies. Needs the redis extra."""

from clickpost_async.fleet.fleet import Fleet
from clickpost_async.fleet.ledger import Ledger
from clickpost_async.fleet.messages import created
from clickpost_async.fleet.worker import OrderTerms, Worker

__all__ = ["Fleet", "Ledger", "OrderTerms", "Worker", "created"]
