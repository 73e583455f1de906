"""ClickPost's requests and responses, as frozen, keyword-only attrs classes.

A module is imported when one of its names is used: making all classes takes longer than importing
the rest of the package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clickpost_async.structures._base import RequestModel as RequestModel
from clickpost_async.structures._base import ResponseInfo as ResponseInfo
from clickpost_async.structures._base import ResponseModel as ResponseModel
from clickpost_async.structures._base import Structure as Structure

if TYPE_CHECKING:
    from clickpost_async.structures.account import AuditEntry as AuditEntry
    from clickpost_async.structures.account import AuditLog as AuditLog
    from clickpost_async.structures.account import Login as Login
    from clickpost_async.structures.account import Token as Token
    from clickpost_async.structures.b2b import B2BAdditional as B2BAdditional
    from clickpost_async.structures.b2b import B2BAppointment as B2BAppointment
    from clickpost_async.structures.b2b import B2BBox as B2BBox
    from clickpost_async.structures.b2b import B2BGst as B2BGst
    from clickpost_async.structures.b2b import B2BInvoice as B2BInvoice
    from clickpost_async.structures.b2b import B2BOrder as B2BOrder
    from clickpost_async.structures.b2b import B2BPlace as B2BPlace
    from clickpost_async.structures.b2b import B2BProduct as B2BProduct
    from clickpost_async.structures.b2b import B2BPurchaseOrder as B2BPurchaseOrder
    from clickpost_async.structures.b2b import B2BShipment as B2BShipment
    from clickpost_async.structures.codes import AddressType as AddressType
    from clickpost_async.structures.codes import Bucket as Bucket
    from clickpost_async.structures.codes import DeliveryType as DeliveryType
    from clickpost_async.structures.codes import DutyPayer as DutyPayer
    from clickpost_async.structures.codes import Level as Level
    from clickpost_async.structures.codes import NdrCode as NdrCode
    from clickpost_async.structures.codes import NotificationEvent as NotificationEvent
    from clickpost_async.structures.codes import OrderType as OrderType
    from clickpost_async.structures.codes import TrackingCode as TrackingCode
    from clickpost_async.structures.couriers import CourierAccount as CourierAccount
    from clickpost_async.structures.couriers import CourierAccounts as CourierAccounts
    from clickpost_async.structures.couriers import IndiaParcel as IndiaParcel
    from clickpost_async.structures.couriers import Locality as Locality
    from clickpost_async.structures.couriers import ParcelAdditional as ParcelAdditional
    from clickpost_async.structures.couriers import Preference as Preference
    from clickpost_async.structures.couriers import Recommendation as Recommendation
    from clickpost_async.structures.couriers import Recommendations as Recommendations
    from clickpost_async.structures.couriers import WorldParcel as WorldParcel
    from clickpost_async.structures.couriers import WorldParcelDetails as WorldParcelDetails
    from clickpost_async.structures.delivery import PincodePair as PincodePair
    from clickpost_async.structures.delivery import Prediction as Prediction
    from clickpost_async.structures.delivery import PredictionFilter as PredictionFilter
    from clickpost_async.structures.delivery import Predictions as Predictions
    from clickpost_async.structures.delivery import WorldPrediction as WorldPrediction
    from clickpost_async.structures.delivery import WorldPredictionFilter as WorldPredictionFilter
    from clickpost_async.structures.delivery import WorldRoute as WorldRoute
    from clickpost_async.structures.delivery import WorldRoutePlace as WorldRoutePlace
    from clickpost_async.structures.india import IndiaAdditional as IndiaAdditional
    from clickpost_async.structures.india import IndiaDrop as IndiaDrop
    from clickpost_async.structures.india import IndiaOrder as IndiaOrder
    from clickpost_async.structures.india import IndiaPickup as IndiaPickup
    from clickpost_async.structures.india import IndiaReturn as IndiaReturn
    from clickpost_async.structures.india import IndiaShipment as IndiaShipment
    from clickpost_async.structures.india import MultiModal as MultiModal
    from clickpost_async.structures.india import TransitInfo as TransitInfo
    from clickpost_async.structures.items import CartaPorte as CartaPorte
    from clickpost_async.structures.items import CustomField as CustomField
    from clickpost_async.structures.items import GstInfo as GstInfo
    from clickpost_async.structures.items import Item as Item
    from clickpost_async.structures.items import ItemDetails as ItemDetails
    from clickpost_async.structures.items import Reseller as Reseller
    from clickpost_async.structures.items import UserDefinedField as UserDefinedField
    from clickpost_async.structures.labels import Label as Label
    from clickpost_async.structures.ndr import AcceptedNdrAction as AcceptedNdrAction
    from clickpost_async.structures.ndr import FeedbackKind as FeedbackKind
    from clickpost_async.structures.ndr import FeedbackNotes as FeedbackNotes
    from clickpost_async.structures.ndr import NdrAction as NdrAction
    from clickpost_async.structures.ndr import NdrFeedback as NdrFeedback
    from clickpost_async.structures.ndr import NdrFeedbacks as NdrFeedbacks
    from clickpost_async.structures.ndr import NdrStep as NdrStep
    from clickpost_async.structures.orders import CancelledOrder as CancelledOrder
    from clickpost_async.structures.orders import ChildItem as ChildItem
    from clickpost_async.structures.orders import ChildShipment as ChildShipment
    from clickpost_async.structures.orders import CreatedOrder as CreatedOrder
    from clickpost_async.structures.orders import DailyCount as DailyCount
    from clickpost_async.structures.orders import DailyCounts as DailyCounts
    from clickpost_async.structures.orders import EditedOrder as EditedOrder
    from clickpost_async.structures.orders import FetchedOrder as FetchedOrder
    from clickpost_async.structures.orders import Order as Order
    from clickpost_async.structures.orders import OrderEdit as OrderEdit
    from clickpost_async.structures.orders import OrderEditDetails as OrderEditDetails
    from clickpost_async.structures.orders import UpdatedOrder as UpdatedOrder
    from clickpost_async.structures.orders import UpdatedOrders as UpdatedOrders
    from clickpost_async.structures.pickups import CreatedPickup as CreatedPickup
    from clickpost_async.structures.pickups import IndiaPickupOrder as IndiaPickupOrder
    from clickpost_async.structures.pickups import WorldPickupOrder as WorldPickupOrder
    from clickpost_async.structures.pickups import WorldPickupPlace as WorldPickupPlace
    from clickpost_async.structures.pickups import WorldPickupShipment as WorldPickupShipment
    from clickpost_async.structures.reports import ReportFilters as ReportFilters
    from clickpost_async.structures.reports import ReportRequest as ReportRequest
    from clickpost_async.structures.reports import ReportStatus as ReportStatus
    from clickpost_async.structures.reports import RequestedReport as RequestedReport
    from clickpost_async.structures.returns import RaisedReturn as RaisedReturn
    from clickpost_async.structures.returns import RaisedReturns as RaisedReturns
    from clickpost_async.structures.serviceability import ParcelMeasures as ParcelMeasures
    from clickpost_async.structures.serviceability import PincodeAccount as PincodeAccount
    from clickpost_async.structures.serviceability import PincodeAccounts as PincodeAccounts
    from clickpost_async.structures.serviceability import (
        PincodeServiceability as PincodeServiceability,
    )
    from clickpost_async.structures.serviceability import ServiceabilityCheck as ServiceabilityCheck
    from clickpost_async.structures.serviceability import (
        ServiceableOrderTypes as ServiceableOrderTypes,
    )
    from clickpost_async.structures.serviceability import ServiceablePincodes as ServiceablePincodes
    from clickpost_async.structures.serviceability import ServiceOption as ServiceOption
    from clickpost_async.structures.serviceability import ServiceOptions as ServiceOptions
    from clickpost_async.structures.serviceability import ServiceOptionsQuery as ServiceOptionsQuery
    from clickpost_async.structures.serviceability import ServiceType as ServiceType
    from clickpost_async.structures.serviceability import ShippingCharge as ShippingCharge
    from clickpost_async.structures.tracking import ExpectedDays as ExpectedDays
    from clickpost_async.structures.tracking import FailedDelivery as FailedDelivery
    from clickpost_async.structures.tracking import NotificationSetting as NotificationSetting
    from clickpost_async.structures.tracking import Numbered as Numbered
    from clickpost_async.structures.tracking import OldShipmentToTrack as OldShipmentToTrack
    from clickpost_async.structures.tracking import OldTrackedDetails as OldTrackedDetails
    from clickpost_async.structures.tracking import OldTrackedItems as OldTrackedItems
    from clickpost_async.structures.tracking import ProofOfDelivery as ProofOfDelivery
    from clickpost_async.structures.tracking import RegisteredShipment as RegisteredShipment
    from clickpost_async.structures.tracking import Scan as Scan
    from clickpost_async.structures.tracking import SecurityKey as SecurityKey
    from clickpost_async.structures.tracking import ShipmentToTrack as ShipmentToTrack
    from clickpost_async.structures.tracking import ShipmentToUnregister as ShipmentToUnregister
    from clickpost_async.structures.tracking import Track as Track
    from clickpost_async.structures.tracking import Tracked as Tracked
    from clickpost_async.structures.tracking import TrackedAdditional as TrackedAdditional
    from clickpost_async.structures.tracking import TrackedConsumer as TrackedConsumer
    from clickpost_async.structures.tracking import TrackedDetails as TrackedDetails
    from clickpost_async.structures.tracking import TrackedItem as TrackedItem
    from clickpost_async.structures.tracking import TrackedOrder as TrackedOrder
    from clickpost_async.structures.tracking import TrackedPlace as TrackedPlace
    from clickpost_async.structures.tracking import UnregisteredShipment as UnregisteredShipment
    from clickpost_async.structures.tracking import WhatsAppChoice as WhatsAppChoice
    from clickpost_async.structures.world import CourierCustomFields as CourierCustomFields
    from clickpost_async.structures.world import TaxInfo as TaxInfo
    from clickpost_async.structures.world import WorldAdditional as WorldAdditional
    from clickpost_async.structures.world import WorldDrop as WorldDrop
    from clickpost_async.structures.world import WorldOrder as WorldOrder
    from clickpost_async.structures.world import WorldPickup as WorldPickup
    from clickpost_async.structures.world import WorldReturn as WorldReturn
    from clickpost_async.structures.world import WorldShipment as WorldShipment

# In the order in which they are searched, so that orders import no other modules.
_MODULES = (
    "codes",
    "items",
    "india",
    "world",
    "orders",
    "labels",
    "tracking",
    "pickups",
    "ndr",
    "couriers",
    "serviceability",
    "delivery",
    "b2b",
    "reports",
    "returns",
    "account",
)


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for module in _MODULES:
            found = _names_of(module).get(name)
            if found is not None:
                globals()[name] = found
                return found
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals()}.union(*map(_names_of, _MODULES)))


def _names_of(module_name: str) -> dict[str, Any]:
    module = import_module(f"{__name__}.{module_name}")
    return {
        name: found
        for name, found in vars(module).items()
        if not name.startswith("_") and getattr(found, "__module__", None) == module.__name__
    }
