"""The asyncio-native client for ClickPost: create, label, track and return parcels.

>>> async with ClickPost() as clickpost:
...     order = await clickpost.orders.create(order)

Names are imported lazily: reading webhooks or catching errors does not import the client.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickpost_async._codec.converter import structure as structure
    from clickpost_async._codec.converter import unstructure as unstructure
    from clickpost_async._codec.endpoint import Auth as Auth
    from clickpost_async._codec.endpoint import Get as Get
    from clickpost_async._codec.endpoint import Idempotency as Idempotency
    from clickpost_async._codec.endpoint import Post as Post
    from clickpost_async._core.retry import Resend as Resend
    from clickpost_async._core.retry import RetryPolicy as RetryPolicy
    from clickpost_async.client import ClickPost as ClickPost
    from clickpost_async.client import Stats as Stats
    from clickpost_async.endpoints._time_windows import Checkpoint as Checkpoint
    from clickpost_async.endpoints._time_windows import Windows as Windows
    from clickpost_async.errors import BusyCourierError as BusyCourierError
    from clickpost_async.errors import ClickPostError as ClickPostError
    from clickpost_async.errors import CourierError as CourierError
    from clickpost_async.errors import CredentialsError as CredentialsError
    from clickpost_async.errors import DeadlineError as DeadlineError
    from clickpost_async.errors import FailureKind as FailureKind
    from clickpost_async.errors import InvalidRequestError as InvalidRequestError
    from clickpost_async.errors import NoReplyError as NoReplyError
    from clickpost_async.errors import NotSentError as NotSentError
    from clickpost_async.errors import Outcome as Outcome
    from clickpost_async.errors import Problem as Problem
    from clickpost_async.errors import RefusedError as RefusedError
    from clickpost_async.errors import ServerError as ServerError
    from clickpost_async.errors import ThrottledError as ThrottledError
    from clickpost_async.errors import UnreadableReplyError as UnreadableReplyError
    from clickpost_async.settings import BodyStyle as BodyStyle
    from clickpost_async.settings import Host as Host
    from clickpost_async.settings import Hosts as Hosts
    from clickpost_async.settings import Priority as Priority
    from clickpost_async.settings import Rate as Rate
    from clickpost_async.settings import Timeouts as Timeouts
    from clickpost_async.structures import IndiaOrder as IndiaOrder
    from clickpost_async.structures import ResponseInfo as ResponseInfo
    from clickpost_async.structures import WorldOrder as WorldOrder

_NAMES_BY_MODULE = {
    "_core.retry": "Resend RetryPolicy",
    "_codec.converter": "structure unstructure",
    "_codec.endpoint": "Auth Get Idempotency Post",
    "client": "ClickPost Stats",
    "endpoints._time_windows": "Checkpoint Windows",
    "errors": (
        "BusyCourierError ClickPostError CourierError CredentialsError DeadlineError FailureKind "
        "InvalidRequestError NoReplyError NotSentError Outcome Problem RefusedError "
        "ServerError ThrottledError UnreadableReplyError"
    ),
    "settings": "BodyStyle Host Hosts Priority Rate Timeouts",
    "structures": "IndiaOrder ResponseInfo WorldOrder",
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        globals()[name] = found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return found
    if name == "__all__":  # for `from clickpost_async import *`
        return list(_MODULE_OF)
    if name == "__version__":
        from importlib.metadata import version

        return version("clickpost_async")
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
