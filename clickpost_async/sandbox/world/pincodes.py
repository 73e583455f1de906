"""Some of India's pincodes, with their cities and states as ClickPost writes them."""

import json
from collections.abc import Mapping
from importlib import resources

_FILE = resources.files("clickpost_async.sandbox.world") / "pincodes.json"

# The city and the state of each pincode.
PLACES: Mapping[str, tuple[str, str]] = {
    pincode: (city, state)
    for place, pincodes in json.loads(_FILE.read_text("utf-8")).items()
    for city, _, state in [place.partition(", ")]
    for pincode in pincodes.split()
}
