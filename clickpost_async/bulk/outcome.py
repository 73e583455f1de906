"""The outcome of one order of a bulk run."""

from attrs import field, frozen

from clickpost_async.errors import ClickPostError
from clickpost_async.structures import CreatedOrder


@frozen(kw_only=True)
class _Outcome:
    """The outcome of an order of a bulk run.

    Attributes:
        position: Its position in the input, from 0.
        reference_number: The order's reference number, if it has one.
        row: Its row in the file, if it has one.
        attempts: How many requests to create it were sent.
        seconds: How long it took.
        recorded: Whether it is from the journal of an earlier run; nothing was sent now.
        differs: Whether its row has changed since an earlier run sent the order, which stays as
            it was sent.
        duplicate_of: Where the same order occurs earlier in the input ("row 3"), whose outcome this
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
        order: The created order.
        recovered: Whether an earlier attempt, whose response was lost, had placed it.

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
        reasons: Why, from validation, ClickPost or its courier.
        error: The error, unless validation found it.

    """

    reasons: tuple[str, ...]
    error: ClickPostError | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Unknown(_Outcome):
    """There may or may not be an order: look it up before it is resent.

    Attributes:
        error: What left the outcome unknown.

    """

    error: ClickPostError


@frozen(kw_only=True)
class Pending(_Outcome):
    """There is no waybill yet, and nothing is lost: the same order can be sent again.

    Attributes:
        order: The order that ClickPost is still working on, if it has recorded one.
        error: Why nothing was processed, if so.

    """

    order: CreatedOrder | None = None
    error: ClickPostError | None = None


OrderOutcome = Placed | Rejected | Unknown | Pending
