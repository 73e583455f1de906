"""Lists that come in pages.

`meta.next` is not documented, but seen in answers of 2026: the address of the next page, key
included. Only what it asks is used, never where: the key goes to the host that was configured.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from clickpost_async._codec.envelope import rows_from_result

_CREDENTIALS = frozenset({"username", "user_name", "key"})
_MOST_PARAMETERS = 50


def page_of(body: Mapping[str, Any]) -> Any:
    """Read a list from `result` as `rows`, and what asks for the page after it as `next_page`.

    An address that asks nothing is unreadable: the rest of the list would be lost in silence.
    """
    page = rows_from_result(body)
    address = _next(body.get("meta"))
    if page is None or address in (None, ""):
        return page
    asked = _requested_page(address)
    return {**page, "next_page": asked} if asked else None


def _next(meta: Any) -> Any:
    if not isinstance(meta, Mapping):
        return None
    inner = meta.get("meta")  # NDR feedback wraps its meta twice
    return meta.get("next") or (inner.get("next") if isinstance(inner, Mapping) else None)


def _requested_page(address: Any) -> Mapping[str, str] | None:
    if not isinstance(address, str):
        return None
    try:
        query = urlsplit(address).query
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return None
    return {name: value for name, value in pairs if name.lower() not in _CREDENTIALS}
