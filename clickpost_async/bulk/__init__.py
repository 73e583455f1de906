"""Create many orders from any iterable or file, with an outcome for each."""

from clickpost_async.bulk.journal import JournalError as JournalError
from clickpost_async.bulk.journal import status as status
from clickpost_async.bulk.outcome import OrderOutcome as OrderOutcome
from clickpost_async.bulk.outcome import Pending as Pending
from clickpost_async.bulk.outcome import Placed as Placed
from clickpost_async.bulk.outcome import Rejected as Rejected
from clickpost_async.bulk.outcome import Unknown as Unknown
from clickpost_async.bulk.report import Report as Report
from clickpost_async.bulk.run import Run as Run
from clickpost_async.bulk.run import create as create
from clickpost_async.bulk.run import resolve as resolve
from clickpost_async.files.column_map import ColumnMap as ColumnMap
from clickpost_async.files.column_map import ColumnMapError as ColumnMapError
from clickpost_async.files.columns import COLUMNS as COLUMNS
from clickpost_async.files.counts import FileCounts as FileCounts
from clickpost_async.files.order_rows import OrderRow as OrderRow
from clickpost_async.files.reader import OrderReader as OrderReader
from clickpost_async.files.reader import read_orders as read_orders
from clickpost_async.files.validate import check as check
