"""The records of the sandbox's store, which also declare the columns of its tables."""

import enum
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import attrs
from attrs import field, frozen

from clickpost_async.sandbox.operation import JSON
from clickpost_async.sandbox.world import couriers, tracking_codes
from clickpost_async.sandbox.world.clock import ist, stamped_in_ist, utc
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind, Station
from clickpost_async.structures import TrackingCode


class State(enum.StrEnum):
    """The state of an order; of one that is not queued or placed only the attempt is stored."""

    PLACING = "placing"
    REFUSED = "refused"
    QUEUED = "queued"
    PLACED = "placed"


def _from_json(value: str | JSON) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@frozen(kw_only=True)
class Row:
    """A row of a table: a column for every field, and `indexes`, separated by semicolons."""

    table: ClassVar[str]
    unique: ClassVar[str] = ""
    indexes: ClassVar[str] = ""

    id: int


@frozen(kw_only=True)
class Order(Row):
    """One order, as the sandbox stores it."""

    table = "orders"
    unique = "reference_number"
    indexes = "(waybill, courier_partner); (state)"

    reference_number: str
    version: str
    state: State = field(converter=State)
    body: bytes
    courier_partner: int
    account_code: str
    attempts: int = 1
    polls: int = 0
    waybill: str | None = None
    label: str | None = None

    @property
    def payload(self) -> JSON:
        """The payload that the merchant sent."""
        payload = read_json(self.body)
        return payload if isinstance(payload, dict) else {}


@frozen(kw_only=True)
class Parcel(Row):
    """One parcel; `code` is where it is, `upcoming` what happens to it next, if anything does."""

    table = "parcels"
    unique = "waybill, courier_partner"
    indexes = "(scanned_at, last_scan); (reference_number); (scanned_at) WHERE upcoming IS NOT NULL"

    waybill: str
    courier_partner: int
    account_code: str
    reference_number: str
    tracking_id: int = 0
    security_key: str = field(repr=False)
    kind: ShipmentKind = field(converter=ShipmentKind)
    ordered: bool = field(converter=bool)
    order_type: str
    cod_value: float
    details: JSON = field(converter=_from_json, repr=False)
    created_at: float
    code: int = 0
    upcoming: int | None = None
    scanned_at: float = 0
    last_scan: int = 0
    cancelling: bool = field(converter=bool, default=False)
    whatsapp: bool = field(converter=bool, default=True)

    def text(self, name: str) -> str:
        """Return one of the details as text."""
        value = self.details.get(name)
        return "" if value is None else str(value)

    @property
    def courier_name(self) -> str:
        """The courier's display name."""
        return couriers.name_of(self.courier_partner)

    @property
    def station(self) -> Station:
        """The description of where it is."""
        return tracking_codes.station(self.code)

    @property
    def ahead(self) -> Sequence[str]:
        """The descriptions of the stations that follow if nothing happens."""
        way = tracking_codes.route(self.kind, self.upcoming)
        return [tracking_codes.station(code).description for code in way]

    @property
    def may_fail(self) -> bool:
        """Whether it can still be out for delivery."""
        return tracking_codes.to_the_door(self.kind, self.code, self.upcoming) is not None

    @property
    def may_return(self) -> bool:
        """Whether its customer can request a return."""
        return self.kind is ShipmentKind.FORWARD and self.code == TrackingCode.DELIVERED


@frozen(kw_only=True)
class Scan(Row):
    """One event of a parcel's journey; `moment` is in seconds since the epoch."""

    table = "scans"
    indexes = "(parcel)"

    parcel: int
    code: int
    ndr_code: int | None
    remark: str
    moment: float

    @property
    def station(self) -> Station:
        """The description of its code."""
        return tracking_codes.station(self.code)

    @property
    def summary(self) -> JSON:
        """Its columns, and their meaning."""
        return {**attrs.asdict(self), "description": self.station.description}


@frozen(kw_only=True)
class Note(Row):
    """A record of another kind; `about` is the waybill or number that it is looked up by."""

    table = "notes"
    indexes = "(kind, moment); (kind, about)"

    kind: str
    about: str
    moment: float
    content: dict[str, Any] = field(converter=_from_json)


@frozen(kw_only=True)
class LoggedCall(Row):
    """One call and its response, without credentials.

    `about` is the reference number or the waybill, `attempt` counts the calls of that operation
    about it. `status` is the `meta.status` of the call as it was carried out, None if it was not;
    `code` is that of the response, or else its HTTP status. With a fault there may be no response:
    then `http_status` and `code` are 0. `moment` is monotonic, in seconds, `at` the sandbox's time,
    and `seconds` how long the sandbox took. Bodies of more than 64 KiB, and those of old calls, are
    not kept.
    """

    table = "calls"
    indexes = "(operation, about, attempt); (moment); (fault) WHERE fault IS NOT NULL"

    operation: str
    reference_number: str
    about: str
    attempt: int
    method: str
    path: str
    query: Mapping[str, str] = field(converter=_from_json, repr=False)
    body: bytes = field(repr=False)
    payload_hash: str
    status: int | None
    http_status: int
    code: int
    response: bytes = field(repr=False)
    fault: str | None
    moment: float
    seconds: float
    at: float

    @property
    def summary(self) -> JSON:
        """The call without its request and response."""
        call = ("id", "operation", "about", "attempt", "seconds", "at")
        response = ("http_status", "code", "fault")
        return {name: getattr(self, name) for name in (*call, *response)}

    @property
    def request_json(self) -> object:
        """The request body as JSON; a string if it is not JSON."""
        return read_json(self.body)

    @property
    def response_json(self) -> object:
        """The response body as JSON; a string if it is not JSON."""
        return read_json(self.response)


@frozen(kw_only=True)
class OrderListRow:
    """One order and where its parcel is, or a parcel without one; `labels` were bought for it."""

    rank: int
    reference_number: str
    state: str
    attempts: int
    waybill: str | None
    courier_partner: int
    kind: str | None
    code: int | None
    upcoming: int | None
    order_type: str | None
    cod_value: float | None
    last_scan: int | None
    labels: int

    @property
    def summary(self) -> JSON:
        """Its columns, and its status."""
        return {**attrs.asdict(self), "status": self.status}

    @property
    def key(self) -> str:
        """The fragment of the page's URL that opens it."""
        if self.state == "tracked":
            return f"parcel/{self.waybill}"
        return f"order/{self.reference_number}"

    @property
    def status(self) -> str:
        """The parcel's status, or the order's."""
        return self.state if self.code is None else tracking_codes.station(self.code).description

    @property
    def bucket(self) -> int:
        """The group of statuses, 0 without a parcel."""
        return 0 if self.code is None else tracking_codes.station(self.code).bucket


@frozen(kw_only=True)
class BoughtLabel(Row):
    """One label that was bought for an order, the `nth` for it."""

    table = "labels"
    indexes = "(reference_number)"

    reference_number: str
    waybill: str
    bought_at: float
    nth: int


def scan_values(parcel: Parcel, scan: Scan) -> Mapping[str, Any]:
    """Return what responses show of a scan: where, as couriers and ClickPost write it, and when."""
    city = parcel.text("drop_city" if scan.station.at_drop else "pickup_city")
    location = f"{city}_Hub" if city else ""
    times = {"ist": ist(scan.moment), "utc": utc(scan.moment), "zulu": stamped_in_ist(scan.moment)}
    return {"parcel": parcel, "scan": scan, "city": city, "location": location, **times}


@lru_cache(maxsize=64)
def read_json(body: bytes) -> object:
    """Read a body as JSON; None if it is empty, a string if it is not JSON."""
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
