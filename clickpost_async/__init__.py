"""The asyncio-native client for ClickPost: create, label, track and return parcels.

>>> async with ClickPost.from_env() as clickpost:
...     order = await clickpost.orders.create(order)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clickpost_async._transport.retry import ReSend as ReSend
from clickpost_async._transport.retry import RetryPolicy as RetryPolicy
from clickpost_async._wire.converter import structure as structure
from clickpost_async._wire.converter import unstructure as unstructure
from clickpost_async._wire.endpoint import Auth as Auth
from clickpost_async._wire.endpoint import Get as Get
from clickpost_async._wire.endpoint import Post as Post
from clickpost_async._wire.endpoint import Repeat as Repeat
from clickpost_async.client import ClickPost as ClickPost
from clickpost_async.client import Stats as Stats
from clickpost_async.errors import BusyCourierError as BusyCourierError
from clickpost_async.errors import ClickPostError as ClickPostError
from clickpost_async.errors import CourierError as CourierError
from clickpost_async.errors import CredentialsError as CredentialsError
from clickpost_async.errors import DeadlineError as DeadlineError
from clickpost_async.errors import InvalidRequestError as InvalidRequestError
from clickpost_async.errors import NoReplyError as NoReplyError
from clickpost_async.errors import NotSentError as NotSentError
from clickpost_async.errors import Outcome as Outcome
from clickpost_async.errors import Problem as Problem
from clickpost_async.errors import RefusedError as RefusedError
from clickpost_async.errors import ServerError as ServerError
from clickpost_async.errors import ThrottledError as ThrottledError
from clickpost_async.errors import Trouble as Trouble
from clickpost_async.errors import UnreadableReplyError as UnreadableReplyError
from clickpost_async.settings import BodyStyle as BodyStyle
from clickpost_async.settings import Credentials as Credentials
from clickpost_async.settings import Host as Host
from clickpost_async.settings import Hosts as Hosts
from clickpost_async.settings import Priority as Priority
from clickpost_async.settings import Rate as Rate
from clickpost_async.settings import Timeouts as Timeouts
from clickpost_async.structures import Reply as Reply

if TYPE_CHECKING:
    from clickpost_async.endpoints._windows import Checkpoint as Checkpoint
    from clickpost_async.endpoints._windows import Windows as Windows
    from clickpost_async.structures import IndiaOrder as IndiaOrder
    from clickpost_async.structures import WorldOrder as WorldOrder


def __getattr__(name: str) -> Any:
    # What takes long to load, and not every program needs.
    match name:
        case "IndiaOrder" | "WorldOrder":
            return getattr(import_module("clickpost_async.structures"), name)
        case "Checkpoint" | "Windows":
            return getattr(import_module("clickpost_async.endpoints._windows"), name)
        case "__version__":
            from importlib.metadata import version

            return version("clickpost_async")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), "Checkpoint", "IndiaOrder", "Windows", "WorldOrder"})
