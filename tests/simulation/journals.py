"""Journals that are resolved without their input, and order files that are edited between runs."""

import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from clickpost_async import bulk
from tests.simulation.application import App, follow
from tests.simulation.history import Key, Row, Run
from tests.simulation.network import CALM
from tests.simulation.orders import Order
from tests.simulation.scenarios import (
    HOURS,
    Stage,
    edited,
    run_with_journal,
    work_with_journal,
)


async def _later(stage: Stage) -> None:
    """Let some time pass between two runs, by whichever clock."""
    dice = stage.world.random
    delays = [0.1, 1.0, stage.world.delay(0.0, 2 * stage.settings.settle_delay)]
    await stage.sleep(dice.choice(delays))
    if stage.world.chance(0.3):
        stage.machine.set_wall_clock(dice.choice(HOURS))


async def _calm_down(stage: Stage) -> None:
    """Wait until the courier has done all, and everybody sees it."""
    stage.network.weather = CALM
    await stage.sleep(4 * stage.settings.settle_delay + stage.courier.habits.lag)


# --- bulk.resolve ---------------------------------------------------------------------------------


async def resolved_runs(stage: Stage) -> None:
    """Push orders in a run that is disturbed, and settle what it has left in doubt."""
    world, dice = stage.world, stage.world.random
    orders = stage.orders(dice.randint(2, 6), twice=0.2, other_contents=0.3)
    for _ in range(dice.randint(1, 2)):
        await run_with_journal(stage, orders, disturbed=True)
        await _later(stage)
        await _resolve(stage, orders, disturbed=world.chance(0.5))
        await _later(stage)
        if world.chance(0.25):
            orders = edited(stage, orders)
    await _calm_down(stage)
    await _resolve(stage, orders, disturbed=False)
    await run_with_journal(stage, orders, disturbed=False, calm=True)


async def _resolve(stage: Stage, orders: Sequence[Order], *, disturbed: bool) -> None:
    market = orders[0].market

    def work(
        app: App, run: Run, journal: Path, max_concurrency: int, stop_after: int | None
    ) -> Coroutine[Any, Any, None]:
        clickpost = app.client(journal=run.scope)

        def row_of(outcome: bulk.OrderOutcome) -> Row:
            key = (market, str(outcome.reference_number))
            for row in run.rows:
                if row.key == key:
                    return row
            # What is resolved is what was sent last.
            sent = [one.contents for one in stage.history.sendings if one.key == key]
            row = Row(position=outcome.position, key=key, contents=sent[-1] if sent else "")
            run.rows.append(row)
            return row

        settling = bulk.resolve(clickpost, journal, max_concurrency=max_concurrency)
        return follow(app, run, clickpost, settling, stop_after=stop_after, row_of=row_of)

    if "run.db" in stage.disk.files:
        await work_with_journal(stage, work, disturbed=disturbed, resolves=True)


# --- order files ----------------------------------------------------------------------------------


async def order_files(stage: Stage) -> None:
    """Push a file of orders, some of them twice in it, edited between runs and while it is read."""
    world, dice = stage.world, stage.world.random
    orders = stage.orders(dice.randint(2, 8), twice=0.5, other_contents=0.4)
    for _ in range(dice.randint(1, 3)):
        await _push_file(stage, orders, disturbed=world.chance(0.7), is_edited=world.chance(0.2))
        await _later(stage)
        if world.chance(0.6):
            orders = edited(stage, orders)
    await _calm_down(stage)
    await _push_file(stage, orders, disturbed=False, is_edited=False, calm=True)


async def _push_file(
    stage: Stage,
    orders: Sequence[Order],
    *,
    disturbed: bool,
    is_edited: bool,
    calm: bool = False,
) -> None:
    world = stage.world
    path = stage.disk._root / "orders.jsonl"
    contents = _write(path, orders)

    def edit(changed: Sequence[Order]) -> None:
        # The run that is edited may have been killed, and its file be read by the next one.
        stage.history.runs[-1].torn = True
        _write(path, changed)

    def work(
        app: App, run: Run, journal: Path, max_concurrency: int, stop_after: int | None
    ) -> Coroutine[Any, Any, None]:
        clickpost = app.client(journal=run.scope)
        run.ambiguous = _ambiguous(orders)
        if is_edited:
            run.torn = True
            world.at(10 ** world.delay(-2.5, 1.0), edit, edited(stage, orders))
        pushing = bulk.create(
            clickpost,
            _rows(path, run, contents.__getitem__),
            journal=journal,
            max_concurrency=max_concurrency,
        )
        return follow(app, run, clickpost, pushing, stop_after=stop_after)

    run = await work_with_journal(stage, work, disturbed=disturbed, calm=calm)
    if not run.torn:
        _judge(stage, run)


def _write(path: Path, orders: Sequence[Order]) -> list[str]:
    """Write the file in place, as an editor may; return what its lines stand for."""
    path.write_text("".join(f"{json.dumps(order.payload())}\n" for order in orders))
    return [order.contents for order in orders]


def _rows(path: Path, run: Run, contents_of: Callable[[int], str]) -> Iterator[bulk.OrderRow]:
    for position, row in enumerate(bulk.read_orders(path)):
        details: Any = None if row.order is None else row.order["shipment_details"]
        contents = f"unreadable {position}" if run.torn else contents_of(position)
        run.rows.append(
            Row(
                position=position,
                key=(row.market.value, row.reference or ""),
                contents=contents if details is None else details["invoice_number"],
                unreadable=bool(row.problems),
            )
        )
        yield row


def _ambiguous(orders: Sequence[Order]) -> frozenset[Key]:
    """Return the orders that a file has with several contents."""
    kinds = {(order.key, order.contents) for order in orders}
    keys = [key for key, _ in kinds]
    return frozenset(key for key in keys if keys.count(key) > 1)


def _judge(stage: Stage, run: Run) -> None:
    """Blame a run that sent one of several orders of a file with one reference number."""
    for sending in stage.history.sendings:
        if sending.process == run.process and sending.key in run.ambiguous:
            what = f"{run.process} sends {sending.contents}, whose number its file has twice"
            stage.history.blame("file", what)
