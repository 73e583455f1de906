"""The outcome of one order of a bulk run."""

from attrs import field, frozen

from clickpost_async.errors import ClickPostError
from clickpost_async.structures import CreatedOrder


@frozen(kw_only=True)
class _Outcome:
    """The outcome of an order of a bulk run.

    Attributes:
        position: its position in the input, from 0.
        reference_number: the order's reference number, if it has one.
        row: its row in the file, if it has one.
        attempts: how many requests to create it were sent.
        seconds: how long it took.
        recorded: whether it is from the journal of an earlier run; nothing was sent now.
        differs: whether its row has changed since an earlier run sent the order, which stays as
            it was sent.
        duplicate_of: where the same order occurs earlier in the input ("row 3"), whose outcome this
            is; nothing was sent a second time.

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
    """The order has a waybill; otherwise as every outcome.

    Attributes:
        order: the created order.
        recovered: whether an earlier attempt, whose response was lost, had placed it.

    """

    order: CreatedOrder
    recovered: bool = False

    @property
    def already_placed(self) -> bool:
        """Whether its reference number had an order before."""
        return self.order.already_placed or self.duplicate_of is not None


@frozen(kw_only=True)
class Rejected(_Outcome):
    """There is no order; otherwise as every outcome.

    Attributes:
        reasons: why, from validation, ClickPost or its courier.
        error: the error, unless validation found it.

    """

    reasons: tuple[str, ...]
    error: ClickPostError | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Unknown(_Outcome):
    """There may or may not be an order: look it up before it is resent.

    Attributes:
        error: what left the outcome unknown.

    """

    error: ClickPostError


@frozen(kw_only=True)
class Pending(_Outcome):
    """There is no waybill yet, and nothing is lost: the same order can be sent again.

    Attributes:
        order: the order that ClickPost is still working on, if it has recorded one.
        error: why nothing was processed, if so.

    """

    order: CreatedOrder | None = None
    error: ClickPostError | None = None


OrderOutcome = Placed | Rejected | Unknown | Pending
