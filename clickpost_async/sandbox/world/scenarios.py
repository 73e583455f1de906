"""Scenarios: keywords in an order that make accounts and couriers fail.

| where | text | what happens |
| --- | --- | --- |
| `account_code` | a name in `ACCOUNTS` | its code; any other account exists |
| | `needs-vendor-code` | 355, unless the order has a `vendor_code` |
| drop pincode, postal code | `999999` | 319: the courier does not serve it (a B2B order: 420) |
| `reference_number` contains | `COURIER-REFUSES` | 319; the other keywords are in `_COURIERS` |
| | `COURIER-BUSY-2` | 322 twice, then as usual; any number; without one: always |
| | `COURIER-SLOW-2`, `CLICKPOST-DOWN-2` | 329 and 500, likewise |
| | `CANCEL-REFUSED` | the response to a cancellation is 400, with the courier's message |
| | `CANCEL-LATER` | the response to a cancellation is 202, until the parcel is scanned again |

With `additional.async` the courier comes last: 202, 102, failure.
"""

import re
from collections.abc import Mapping

from clickpost_async.sandbox.operation import RefusalError, message_of

UNSERVED = "999999"
NEEDS_VENDOR_CODE = "needs-vendor-code"

INTERNAL_ERROR = "Oops! Internal server error in Clickpost"
COURIER_ERROR = message_of(322)

ACCOUNTS: Mapping[str, int] = {
    "unknown-account": 351,
    "shared-account": 352,
    "inactive-account": 353,
    "not-registered": 306,  # as for proofs of delivery
    "not-subscribed": 320,  # as for predictions
    "no-credentials": 316,
    "wrong-credentials": 324,
}

# A courier's own message is passed on as the repr of a Python dict.
_COURIER_MESSAGE = (
    "{{'status': {{'reason': '{reason}', 'job_id': '0f0f0f0f-0000-4000-8000-000000000000', "
    "'success': False, 'value': 'CourierError', 'type': 'Complete'}}}}"
)


def _refused(reason: str) -> str:
    return message_of(319, _COURIER_MESSAGE.format(reason=reason))


_COURIERS: tuple[tuple[re.Pattern[str], int, str], ...] = tuple(
    (re.compile(rf"{keyword}(?:-(\d+))?"), status, message)
    for keyword, status, message in (
        ("COURIER-REFUSES", 319, _refused("the shipment was not accepted")),
        ("COURIER-BUSY", 322, COURIER_ERROR),
        ("COURIER-SLOW", 329, "Courier partner API timed out"),
        ("COURIER-ODD", 354, message_of(354)),
        ("WAYBILLS-USED-UP", 330, message_of(330)),
        ("CLICKPOST-DOWN", 500, INTERNAL_ERROR),
    )
)
PASSING = frozenset({322, 329, 500})


def check_account(account_code: object) -> None:
    """Reject the accounts in the table."""
    if isinstance(account_code, str) and account_code in ACCOUNTS:
        raise RefusalError(ACCOUNTS[account_code])


def ask_to_cancel(reference_number: str) -> None:
    """Reject a cancellation that the courier rejects."""
    if "CANCEL-REFUSED" in reference_number:
        raise RefusalError(400, _COURIER_MESSAGE.format(reason="the shipment is not cancellable"))


def decides_later(reference_number: str) -> bool:
    """Return whether the courier delays a cancellation."""
    return "CANCEL-LATER" in reference_number


def ask_courier(reference_number: str, pincode: str, attempt: int) -> None:
    """Reject what the courier rejects at this attempt (the first is 1)."""
    if pincode == UNSERVED:
        raise RefusalError(319, _refused("the drop pincode is not serviceable"))
    for pattern, status, message in _COURIERS:
        found = pattern.search(reference_number)
        if found is None:
            continue
        passes = status in PASSING and found[1] is not None
        if not passes or attempt <= int(found[1]):
            raise RefusalError(status, message)
