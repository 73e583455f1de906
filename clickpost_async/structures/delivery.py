"""Predicted delivery times within India and worldwide."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from attrs import field, frozen

from clickpost_async.structures._base import ListResponse, RequestModel, ResponseModel
from clickpost_async.structures._constraints import (
    Code,
    CountryCode,
    CourierPartner,
    Pattern,
    Pincode,
    Place,
    PostalCode,
    WaybillToSend,
)
from clickpost_async.structures._marks import WireName

# --- requests -----------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class PredictionFilter(RequestModel):
    """Restricts a prediction to one courier, account or parcel."""

    courier_partner: Annotated[CourierPartner, WireName("cp_id")] | None = None
    account_code: Code | None = None
    waybill: Annotated[WaybillToSend, WireName("awb")] | None = None


@frozen(kw_only=True, repr=False)
class PincodePair(RequestModel):
    """Where a parcel is picked up and delivered within India."""

    pickup_pincode: Pincode
    drop_pincode: Pincode
    optional: PredictionFilter | None = None


@frozen(kw_only=True, repr=False)
class WorldPredictionFilter(PredictionFilter):
    """As `PredictionFilter`; ClickPost reads `is_pudo` (a pick-up/drop-off point) as text."""

    is_pudo: Annotated[str, Pattern.of("true|false", '"true" or "false", as text')] | None = None


@frozen(kw_only=True, repr=False)
class WorldRoutePlace(RequestModel):
    """One end of a route; `city` and `state` may be blank."""

    pincode: PostalCode
    country: CountryCode
    city: Place | None = None
    state: Place | None = None


@frozen(kw_only=True, repr=False)
class WorldRoute(RequestModel):
    """Where a parcel is picked up and delivered, in any two countries."""

    pickup_details: WorldRoutePlace
    drop_details: WorldRoutePlace
    optional: WorldPredictionFilter | None = None


# --- responses ----------------------------------------------------------------------------------


@frozen(kw_only=True, repr=False)
class Prediction(ResponseModel):
    """How many days a parcel takes, at least and at most; counted from `pickup_date` if there is.

    `all_map` has the range of every courier by its id as text; `days_with` reads it.
    """

    predicted_sla_min: int | None = None
    predicted_sla_max: int | None = None
    fastest_courier_partner: Annotated[int | None, WireName("min_sla_cp_id")] = None
    all_map: Mapping[str, Sequence[int]] = field(factory=dict)
    pickup_date: str | None = None
    source_edd_model: str | None = None

    @property
    def available(self) -> bool:
        """Whether ClickPost has a prediction for the pair."""
        return self.predicted_sla_max is not None

    def days_with(self, courier_partner: int) -> tuple[int, int] | None:
        """Return the fewest and the most days with one courier, or `None` without a prediction."""
        days = self.all_map.get(str(courier_partner), ())
        return (min(days), max(days)) if days else None


@frozen(kw_only=True, repr=False)
class Predictions(ResponseModel, ListResponse[Prediction]):
    """One prediction for each pair of pincodes, in the order of the request."""

    rows: Sequence[Prediction] = ()


@frozen(kw_only=True, repr=False)
class WorldPrediction(ResponseModel):
    """How many days a parcel takes, at least and at most; counted from `pickup_date` if there is.

    ClickPost names accounts here, not couriers. The form of `account_map` is not documented.
    """

    predicted_sla_min: int | None = None
    predicted_sla_max: int | None = None
    fastest_account_id: Annotated[int | None, WireName("min_sla_account_id")] = None
    account_map: Sequence[Mapping[str, Any]] = ()
    pickup_date: str | None = None
    fallback_edd: bool | None = None
    if_combination_edd: bool | None = None
    source_edd_model: str | None = None

    @property
    def available(self) -> bool:
        """Whether ClickPost has a prediction for the route."""
        return self.predicted_sla_max is not None
