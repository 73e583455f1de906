"""One process of a fleet, `python -m tests.limits.rate_process`: it takes as fast as it is let.

It reads its settings as JSON from the first line of its input; the second starts it. It prints when
each call left, by the clock that all processes of a machine share.
"""

import asyncio
import json
import logging
import sys
import time

from clickpost_async.limits.redis import RedisBucket
from clickpost_async.settings import Rate


def send(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    settings = json.loads(sys.stdin.readline())
    skewed = time.time
    time.time = lambda: skewed() + settings["skew"]
    left: list[float] = []
    rate = Rate(settings["calls"], burst=settings["burst"])

    async def come(bucket: RedisBucket, until: float) -> None:
        while True:
            await bucket.acquire()
            now = time.monotonic()
            if now > until:
                return
            left.append(now)

    async with RedisBucket(settings["url"], rate, account="fleet", process_count=4) as bucket:
        send("ready")
        sys.stdin.readline()
        until = time.monotonic() + settings["seconds"]
        await asyncio.wait(
            [asyncio.ensure_future(come(bucket, until)) for _ in range(settings["crowd"])],
            timeout=settings["seconds"] + 0.2,
        )
    send(json.dumps(left))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main())
