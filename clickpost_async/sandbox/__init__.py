"""A local ClickPost sandbox: an ASGI application, and a server that serves it on a port.

async with Sandbox() as sandbox:
    clickpost = ClickPost(sandbox.username, sandbox.api_key, base_url=sandbox.base_url)

Parcels move on command: `sandbox.advance(waybill)`, `sandbox.fail_delivery(waybill)`,
`sandbox.request_return(waybill)`, or by the clock with `Sandbox(scan_every=60)`; and with
`sandbox.webhooks_to("http://127.0.0.1:9000/")` the sandbox sends a webhook for every event. The
page at `sandbox.page` shows all of it in a browser, and `/control` has the same over HTTP.
"""

from importlib.util import find_spec

from clickpost_async._util.extras import not_installed

# Checked without an import: labels and the page are rendered lazily.
if any(find_spec(library) is None for library in ("jinja2", "reportlab", "starlette", "uvicorn")):
    raise not_installed(
        "the sandbox needs jinja2, reportlab, starlette and uvicorn", "clickpost_async[sandbox]"
    )

from clickpost_async.sandbox.http.faults import Fault, Faults
from clickpost_async.sandbox.http.traffic import Traffic
from clickpost_async.sandbox.sandbox import Sandbox
from clickpost_async.sandbox.store.records import LoggedCall, Order, Parcel, Scan, State
from clickpost_async.sandbox.store.repository import SandboxStore
from clickpost_async.sandbox.webhooks import WebhookDelivery
from clickpost_async.sandbox.world.tracking_codes import ShipmentKind

__all__ = [
    "Fault",
    "Faults",
    "LoggedCall",
    "Order",
    "Parcel",
    "Sandbox",
    "SandboxStore",
    "Scan",
    "ShipmentKind",
    "State",
    "Traffic",
    "WebhookDelivery",
]
