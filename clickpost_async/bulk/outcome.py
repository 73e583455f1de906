"""The outcome of one order of a bulk run."""

from attrs import field, frozen

from clickpost_async.errors import ClickPostError
from clickpost_async.structures import CreatedOrder


@frozen(kw_only=True)
class _Outcome:
    """Which order it was: its position in the input from 0, and its row where it has one.

    `recorded`: the outcome of an earlier run, from its journal; nothing was sent now.
    `differs`: its row has changed since an earlier run sent the order, which stands as it was sent.
    `duplicate_of`: where the same order comes earlier in this input ("row 3"), whose outcome this
    is; nothing was sent for it a second time.
    """

    position: int
    reference_number: str | None
    row: int | None = None
    attempts: int = 0
    seconds: float = 0.0
    recorded: bool = False
    differs: bool = False
    duplicate_of: str | None = None


@frozen(kw_only=True)
class Placed(_Outcome):
    """The order has a waybill; `already_placed` if its reference number had one before.

    `recovered`: an earlier attempt whose response was lost had placed it.
    """

    order: CreatedOrder
    recovered: bool = False

    @property
    def already_placed(self) -> bool:
        """Whether its reference number had an order before."""
        return self.order.already_placed or self.duplicate_of is not None


@frozen(kw_only=True)
class Rejected(_Outcome):
    """There is no order; `reasons` come from validation, ClickPost or its courier."""

    reasons: tuple[str, ...]
    error: ClickPostError | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Unknown(_Outcome):
    """Outcome unknown: look the order up before it is sent again."""

    error: ClickPostError


@frozen(kw_only=True)
class Pending(_Outcome):
    """There is no waybill yet, and none is lost: the same order can be sent again.

    Either nothing was processed (`error` says why), or ClickPost is still working on it (`order`).
    """

    order: CreatedOrder | None = None
    error: ClickPostError | None = None


OrderOutcome = Placed | Rejected | Unknown | Pending
