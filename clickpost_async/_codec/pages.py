"""Reads lists that are paginated.

`meta.next` is not documented, but seen in responses of 2026: the URL of the next page, key
included. Only its query is used, never its host: the key is sent to the configured host only.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clickpost_async._codec.envelope import rows_from_result

_CREDENTIALS = frozenset({"username", "user_name", "key"})
_MAX_PARAMETERS = 50


def page_of(body: Mapping[str, Any]) -> Any:
    """Read a list from `result` as `rows`, and the query of the page after it as `next_page`.

    A URL without a query is unreadable: the rest of the list would be dropped silently.
    """
    page = rows_from_result(body)
    address = _next(body.get("meta"))
    if page is None or address in (None, ""):
        return page
    query = _query_of(address)
    return {**page, "next_page": query} if query else None


def _next(meta: Any) -> Any:
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("meta")  # NDR feedback wraps its meta twice
    return meta.get("next") or (inner.get("next") if isinstance(inner, Mapping) else None)


def _query_of(address: Any) -> Mapping[str, str] | None:
    if not isinstance(address, str):
        return None
    try:
        query = urlsplit(address).query
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return None
    return {name: value for name, value in pairs if name.lower() not in _CREDENTIALS}
