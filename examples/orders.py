"""Orders for the other examples: copies of order.json with their own reference numbers."""

import copy
import json
from pathlib import Path

_ORDER = json.loads((Path(__file__).parent / "order.json").read_text(encoding="utf-8"))


def order(reference_number: str) -> dict:
    """Return a copy of the order with this reference number."""
    made = copy.deepcopy(_ORDER)
    made["shipment_details"]["reference_number"] = reference_number
    return made
