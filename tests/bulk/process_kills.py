"""Kill a bulk run repeatedly, and check what was bought and journaled.

`python -m tests.bulk.process_kills --kills 1000` plays it for longer than the tests do. The sandbox
is racy (it buys the label before it has recorded the reference), and it looks into the journal at
every POST: the order has to be written down before it leaves.
"""

import argparse
import asyncio
import random
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from starlette.types import Receive, Scope, Send

from clickpost_async.sandbox import Sandbox
from tests.helpers.http_server import until


class Watching(Sandbox):
    """A sandbox that looks into the journal before it lets a create pass."""

    def __init__(self, journal: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self.journal = journal
        self.posts = 0
        self.unannounced: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        parts: list[dict[str, Any]] = []
        body = b""
        while True:
            part = dict(await receive())
            parts.append(part)
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        self.posts += 1
        found = body.partition(b'"reference_number":"')[2].partition(b'"')[0].decode()
        # Nothing, where the client was killed while it was sending.
        if found and self._state_of(found) not in ("sending", "placed"):
            self.unannounced.append(found)

        async def again() -> Any:
            return parts.pop(0) if parts else await receive()

        await super().__call__(scope, again, send)

    def _state_of(self, found: str) -> str | None:
        # Another connection sees what is committed, and nothing else.
        reader = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)
        try:
            row = reader.execute(
                "SELECT state FROM orders WHERE reference_number = ?", (found,)
            ).fetchone()
        finally:
            reader.close()
        return None if row is None else str(row[0])


@define
class Verdict:
    """What a play came to."""

    kills: int
    starts: int
    posts: int
    unannounced: list[str]
    ledger: Mapping[str, tuple[str, ...]]
    journal: Mapping[str, tuple[str, str | None]]
    kinds: Counter[str] = field(factory=Counter)

    @property
    def twice(self) -> int:
        """How many orders were bought more than one label."""
        return sum(len(waybills) > 1 for waybills in self.ledger.values())


async def start(
    url: str, journal: Path, *, orders: int, settling: float, look_up: bool
) -> asyncio.subprocess.Process:
    """Start a process with a run, which prints a line for each outcome."""
    arguments = (url, str(journal), str(orders), str(settling), str(int(look_up)))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bulk.killed_run", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )


async def play(
    folder: Path,
    *,
    kills: int,
    orders: int,
    settling: float = 0.4,
    courier_seconds: float = 0.01,
    look_up: bool = True,
    seed: int = 1,
) -> Verdict:
    """Kill a run that often at random times, let the last one end, and return what happened."""
    dice = random.Random(seed)
    journal = folder / "run.db"
    sandbox = Watching(journal, racy=True, courier_seconds=courier_seconds)
    killed = starts = 0
    kinds: Counter[str] = Counter()
    async with sandbox:
        ended = False
        while not ended:
            starts += 1
            assert starts <= kills + 20, "it does not come to its end"
            child = await start(
                sandbox.base_url, journal, orders=orders, settling=settling, look_up=look_up
            )
            assert child.stdout is not None
            # Some are killed before the first outcome, most in the middle.
            outcomes = dice.choice([0, 1, 1, 5, 20, 40]) if killed < kills else sys.maxsize
            delay = dice.random() * 0.02
            seen = 0
            while seen < outcomes and (line := await child.stdout.readline()):
                word = line.decode().split()[0]
                kinds[word] += 1
                seen += 1
                ended = ended or word == "the"
            was_killed = False
            if not ended and killed < kills:
                await asyncio.sleep(delay)
                if child.returncode is None:
                    child.send_signal(signal.SIGKILL)
                    was_killed = True
                    killed += 1
            code = await child.wait()
            # One that fails by itself, as on a journal that it cannot open, fails the play.
            assert code in ({0, -signal.SIGKILL} if was_killed else {0}), f"start {starts}: {code}"
        await until(lambda: not sandbox.traffic.in_flight)
    reader = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    rows = reader.execute("SELECT reference_number, state, outcome FROM orders").fetchall()
    reader.close()
    return Verdict(
        kills=killed,
        starts=starts,
        posts=sandbox.posts,
        unannounced=sandbox.unannounced,
        ledger=sandbox.ledger(),
        journal={row[0]: (row[1], row[2]) for row in rows},
        kinds=kinds,
    )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--orders", type=int, default=25_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(
            play(Path(folder), kills=given.kills, orders=given.orders, seed=given.seed)
        )
    print(  # noqa: T201 - what it was started for
        f"{verdict.kills} kills, {verdict.posts} POSTs ({len(verdict.unannounced)} unannounced),"
        f" {len(verdict.ledger)} of {given.orders} orders bought, {verdict.twice} of them twice"
    )
    return 1 if verdict.twice or verdict.unannounced else 0


if __name__ == "__main__":
    sys.exit(main())
