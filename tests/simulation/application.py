"""Applications: how shops use the client, well or badly."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from clickpost_async import (
    ClickPost,
    ClickPostError,
    InvalidRequestError,
    Priority,
    Rate,
    Resend,
    RetryPolicy,
    Timeouts,
    bulk,
)
from clickpost_async.errors import Outcome
from tests.simulation.history import Call, Row, Run
from tests.simulation.network import Network
from tests.simulation.orders import Order
from tests.simulation.transport import Transport

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


@frozen(kw_only=True)
class Settings:
    """How a shop has set its client up."""

    settle_delay: float
    attempts: int
    may_resend: bool
    patience: float
    max_concurrency: int
    rate: Rate | None

    @classmethod
    def draw(cls, world: "World") -> "Settings":
        """Draw them."""
        dice = world.random
        return cls(
            settle_delay=dice.choice([5.0, 30.0]),
            attempts=dice.choice([2, 4, 4]),
            may_resend=world.chance(0.8),
            patience=dice.choice([60.0, 60.0, 10.0, 2.0]),
            max_concurrency=dice.choice([1, 2, 4, 100]),
            rate=Rate(2, burst=dice.choice([1, 3])) if world.chance(0.2) else None,
        )

    @property
    def retry(self) -> RetryPolicy:
        """Return the client's policy."""
        return RetryPolicy(
            attempts=self.attempts,
            settle_delay=self.settle_delay,
            resend=Resend.AFTER_SETTLING if self.may_resend else Resend.NEVER,
        )


@define
class App:
    """An application in one process, with as many clients as it likes."""

    process: "Process"
    network: Network
    settings: Settings
    transports: list[Transport] = field(factory=list)
    closing: bool = False

    def client(
        self, *, journal: str | None = None, fleet: str | None = None, **changes: Any
    ) -> ClickPost:
        """Make a client, whose orders a journal or a fleet's ledger remembers."""
        history, folder = self.network.history, self.process.folder
        scopes = tuple(filter(None, (self.process.name, journal, fleet)))

        def is_durable(key: tuple[str, str]) -> None:
            if folder is not None and folder.states().get(key) != "sending":
                history.blame("intent", f"{key[1]} leaves, and its journal does not say so durably")

        name = f"{self.process.name}/{len(self.transports)}"
        transport = Transport(
            self.network,
            self.process,
            name=name,
            scopes=scopes,
            settle_delay=self.settings.settle_delay,
            may_resend=self.settings.may_resend,
            before_sending=None if journal is None else is_durable,
        )
        self.transports.append(transport)
        rate = self.settings.rate
        if rate is not None and len(scopes) == 1:
            history.rates[name] = (rate.per_second, float(rate.burst or 1))
        read = self.settings.patience
        return ClickPost(
            "acme",
            "not-a-real-key",
            transport=transport,
            rate=rate,
            retry=self.settings.retry,
            timeouts=Timeouts(create=read, read=min(read, 30.0), total=read + 30.0),
            max_concurrency=self.settings.max_concurrency,
            **changes,
        )


# --- single calls ---------------------------------------------------------------------------------


@frozen(kw_only=True)
class Plan:
    """When an application creates an order, how long it waits, and how often it tries."""

    order: Order
    start: float
    client: int = 0
    tries: int = 1
    pause: float = 0.0
    # It stops waiting after so many seconds, or gives the call a deadline.
    gives_up: float | None = None
    deadline: float | None = None
    bulk: bool = False


async def create(app: App, client: ClickPost, plan: Plan) -> Call:
    """Create an order once, and note what that came to."""
    world, order = app.process.world, plan.order
    call = Call(
        process=app.process.name,
        key=order.key,
        contents=order.contents,
        began=world.now,
        attempts=app.settings.attempts,
        deadline=plan.deadline,
    )
    app.network.history.calls.append(call)
    options: dict[str, Any] = {} if plan.deadline is None else {"deadline": plan.deadline}
    if plan.bulk:
        options["priority"] = Priority.BULK
    try:
        created = await client.with_options(**options).orders.create(order.payload())
    except ClickPostError as error:
        call.became = error.outcome.value
        call.reason = f"{type(error).__name__}: {error.message}"
        call.kind = error.kind.name
        call.local = isinstance(error, InvalidRequestError) and bool(error.problems)
    except asyncio.CancelledError:
        call.became = "cancelled"
        raise
    else:
        call.became = "pending" if created.pending else "placed"
        call.waybill = created.waybill
        call.already_placed = created.already_placed
    finally:
        call.ended = world.now
        call.client_closed = app.closing
        if app.process.alive:
            suffix = (
                f" {call.waybill}" if call.waybill else f" ({call.reason})" if call.reason else ""
            )
            world.note(app.process.name, f"create of {order.contents}: {call.became}{suffix}")
    return call


async def carry_out(app: App, client: ClickPost, plan: Plan) -> None:
    """Create an order as planned."""
    await asyncio.sleep(plan.start)
    for _ in range(plan.tries):
        task = asyncio.ensure_future(create(app, client, plan))
        try:
            call = await asyncio.wait_for(task, plan.gives_up)
        except TimeoutError:
            pass
        else:
            if call.became in ("placed", "pending"):
                return
        await asyncio.sleep(plan.pause)


# --- bulk runs ------------------------------------------------------------------------------------


async def push(
    app: App,
    orders: Sequence[Order],
    *,
    journal: Path | None,
    run: Run,
    max_concurrency: int,
    stop_after: int | None = None,
    creator: Any = None,
    client: ClickPost | None = None,
) -> None:
    """Create orders in a bulk run, and note every outcome."""
    run.rows.extend(
        Row(position=position, key=order.key, contents=order.contents)
        for position, order in enumerate(orders)
    )
    clickpost = client or app.client(journal=run.scope if journal else None)
    options: dict[str, Any] = {} if creator is None else {"creator": creator}

    async def given() -> AsyncIterator[Mapping[str, Any]]:
        for order in orders:
            yield order.payload()

    creating = bulk.create(
        clickpost, given(), journal=journal, max_concurrency=max_concurrency, **options
    )
    await follow(app, run, clickpost, creating, stop_after=stop_after)


async def follow(
    app: App,
    run: Run,
    clickpost: ClickPost,
    creating: bulk.Run,
    *,
    stop_after: int | None = None,
    row_of: Callable[[bulk.OrderOutcome], Row] | None = None,
) -> None:
    """Note every outcome of a run; `row_of`: of which row it is, if its position does not say."""
    try:
        async with clickpost, creating:
            suffix = 0
            async for outcome in creating:
                row = run.rows[outcome.position] if row_of is None else row_of(outcome)
                _note_outcome(app, run, row, outcome)
                suffix += 1
                if suffix == stop_after:
                    creating.stop()
        run.stopped = creating.report.stopped
        run.halted = creating.report.halted is not None
        run.complete = not (run.stopped or run.halted)
    except Exception as error:
        run.failed = repr(error)
        raise
    finally:
        if app.process.alive:
            run.ended = app.process.world.now


def _note_outcome(app: App, run: Run, row: Row, outcome: bulk.OrderOutcome) -> None:
    if row.became:
        run.reported_twice.append(outcome.position)
    match outcome:
        case bulk.Placed():
            row.became = "placed"
            row.waybill = outcome.order.waybill
            row.differs = outcome.differs
            row.already_placed = outcome.already_placed
        case bulk.Rejected():
            row.became = "rejected"
            row.reason = "; ".join(outcome.reasons)
        case bulk.Unknown():
            row.became = "unknown"
            row.reason = str(outcome.error)
        case bulk.Pending():
            row.became = "pending"
            row.unsent = outcome.order is None and (
                outcome.error is None or outcome.error.outcome is Outcome.NOT_SENT
            )
            row.reason = str(outcome.error)
    row.recorded = outcome.recorded
    suffix = f" {row.waybill}" if row.waybill else f" ({row.reason})" if row.reason else ""
    recorded = " as recorded" if row.recorded else ""
    app.process.world.note(
        app.process.name, f"row {row.position} {row.contents}: {row.became}{suffix}{recorded}"
    )
