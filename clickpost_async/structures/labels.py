"""The printable sheet of a parcel."""

from typing import Annotated

from attrs import frozen

from clickpost_async.structures._base import Answer
from clickpost_async.structures._marks import Personal, Wire


@frozen(kw_only=True, repr=False)
class Label(Answer):
    """Where a label can be downloaded; whoever has the address can read the one on the label."""

    url: Annotated[str | None, Wire("shipping_label"), Personal()] = None
