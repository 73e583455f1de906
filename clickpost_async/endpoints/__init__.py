"""Every endpoint by its dotted name, as declared in its chapter."""

from collections.abc import Mapping
from types import MappingProxyType

from clickpost_async._wire.endpoint import Get as Get
from clickpost_async._wire.endpoint import Post as Post
from clickpost_async.endpoints import (
    account,
    couriers,
    labels,
    management,
    ndr,
    orders,
    pickups,
    reports,
    returns,
    tracking,
)
from clickpost_async.structures import Answer

_CHAPTERS = (
    orders,
    management,
    tracking,
    ndr,
    pickups,
    labels,
    couriers,
    reports,
    returns,
    account,
)

CATALOG: Mapping[str, Get[Answer] | Post[Answer]] = MappingProxyType(
    {endpoint.name: endpoint for chapter in _CHAPTERS for endpoint in chapter.ENDPOINTS}
)
