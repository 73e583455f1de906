"""The printable sheet of a parcel."""

from typing import Annotated

from attrs import frozen

from clickpost_async.structures._base import ResponseModel
from clickpost_async.structures._marks import Personal, WireName


@frozen(kw_only=True, repr=False)
class Label(ResponseModel):
    """The URL of a label; anyone who has it can download the label, personal data included."""

    url: Annotated[str | None, WireName("shipping_label"), Personal()] = None
