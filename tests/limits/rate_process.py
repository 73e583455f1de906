"""One process of a fleet, `python -m tests.limits.rate_process`: it calls as often as it may.

Its input has its settings as JSON, then a line that starts it, and one that stops it. Its output is
when each call left, by the clock that all processes of a machine share.
"""

import asyncio
import json
import logging
import sys
import time

from clickpost_async.limits.redis import RedisBucket
from clickpost_async.settings import Rate


def write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    settings = json.loads(sys.stdin.readline())
    skewed = time.time
    time.time = lambda: skewed() + settings["skew"]
    left: list[float] = []
    rate = Rate(settings["calls"], burst=settings["burst"])

    async def come(bucket: RedisBucket) -> None:
        while True:
            await bucket.acquire()
            left.append(time.monotonic())

    async with RedisBucket(settings["url"], rate, account="fleet", process_count=4) as bucket:
        write("ready")
        sys.stdin.readline()
        callers = [asyncio.create_task(come(bucket)) for _ in range(settings["crowd"])]
        await asyncio.to_thread(sys.stdin.readline)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
    write(json.dumps(left))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main())
