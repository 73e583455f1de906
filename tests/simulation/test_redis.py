"""The simulated Redis answers as a real one does, and runs the same scripts."""

import heapq
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from redis.connection import Connection
from redis.exceptions import ResponseError

from tests.helpers.redis_server import RedisServer
from tests.simulation.redis import Redis, RedisReplyError
from tests.simulation.world import World

LEDGER = resources.files("clickpost_async.fleet").joinpath("ledger.lua").read_text("utf-8")
BUCKET = resources.files("clickpost_async.limits").joinpath("token_bucket.lua").read_text("utf-8")

COMMANDS = """
SET a 1
SET a 2 NX
SET a 3 GET
SET b 1 EX 100
GET a
GET c
MGET a c b
TTL b
TTL a
TTL c
INCR n
EXISTS a b c
EXPIRE a 50
EXPIRE c 50
DEL a c
HSET h x 1 y 2
HSET h x 3 z 4
HGET h x
HGET h w
HMGET h x w y
HGETALL h
HDEL h x y z
EXISTS h
SADD s p q p
SISMEMBER s p
SISMEMBER s r
SCARD s
SREM s p r
SREM s q
EXISTS s
XADD t * f v
XADD t * f w
XLEN t
XREAD COUNT 5 STREAMS t 0-0
XTRIM t MAXLEN 1
XREAD COUNT 5 STREAMS empty 0-0
XDEL t 0-1
PING
EVALSHA 0000000000000000000000000000000000000000 0
HSETNX h x 1
HSETNX h x 2
ZADD z 1 a 2 b
ZADD z 3 a
ZADD z 1 c
ZCARD z
ZCOUNT z 2 +inf
ZSCORE z b
ZSCORE z d
ZRANGE z 0 -1
ZREMRANGEBYSCORE z -inf 1
ZREM z a d
ZCARD z
"""

# What two workers ask the ledger: an act, who asks, and what the act is about.
LEDGER_ACTS = [
    ("register", "one"),
    ("claim", "one", "digest-a", "queued"),
    ("claim", "two", "digest-a", ""),
    ("sending", "two"),
    ("sending", "one"),
    ("claim", "one", "digest-b", ""),
    ("end", "one", "open", "digest-a", "", "stream", "1", "answer"),
    ("claim", "two", "digest-a", ""),
    ("claim", "two", "digest-b", ""),
    ("end", "two", "placed", "digest-a", "12 W-1", "", "0", ""),
    ("claim", "one", "digest-a", ""),
    ("claim", "one", "digest-b", ""),
]


@pytest.fixture
def connection(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(
        host="127.0.0.1", port=redis_server.port, protocol=2, decode_responses=True
    )
    connection.connect()
    connection.send_command("FLUSHALL")
    connection.read_response()
    yield connection
    connection.disconnect()


def masked(reply: Any) -> Any:
    """Leave out what is another one each time."""
    if isinstance(reply, list):
        return [masked(one) for one in reply]
    if isinstance(reply, str):
        return re.sub(r"\d{13}-\d+|\d+\.\d+|\d{10}", "a time", str(reply))
    return reply


def real(connection: Connection, words: list[str]) -> Any:
    connection.send_command(*words)
    try:
        return masked(connection.read_response())
    except ResponseError:
        return "an error"


def simulated(redis: Redis, words: list[str]) -> Any:
    try:
        return masked(redis.call(*words))
    except RedisReplyError:
        return "an error"


def test_simulated_redis_replies_like_a_real_one(connection: Connection) -> None:
    redis = Redis(World(1))

    for command in COMMANDS.strip().splitlines():
        words = command.split()
        assert simulated(redis, words) == real(connection, words), command


def test_simulated_redis_runs_the_ledger_as_a_real_one(connection: Connection) -> None:
    redis = Redis(World(1))
    script = f"local GENERATION, BEGAN = 'an-era', 0\n{LEDGER}"
    redis.call("SET", "era", "an-era")
    real(connection, ["SET", "era", "an-era"])

    for act, worker, *message in LEDGER_ACTS:
        keys = ["era", "workers:", "doubts", "order", "other"]
        words = ["EVAL", script, str(len(keys)), *keys, act, worker, "15", "1000"]
        # The same of both orders.
        words += 2 * message
        expected = real(connection, words)
        assert simulated(redis, words) == expected, (act, worker, message)
        assert act != "claim" or len(expected) == 2


def test_simulated_redis_runs_the_rate_limiter_as_a_real_one(connection: Connection) -> None:
    redis = Redis(World(1))

    for want in ("1", "3", "0"):
        words = ["EVAL", BUCKET, "1", "rate", "0.01", "0.1", "0.01", want, "0", "", "0", "0"]
        assert simulated(redis, words) == real(connection, words)


def test_simulated_redis_forgets_what_has_expired() -> None:
    world = World(1)
    redis = Redis(world)
    redis.call("SET", "a", "1", "EX", "10")

    world.now += 9
    assert redis.call("GET", "a") == "1"
    world.now += 2
    assert redis.call("GET", "a") is None


def test_simulated_redis_evicts_what_its_policy_allows() -> None:
    redis = Redis(World(1))
    for policy, left in (("noeviction", 2), ("volatile-lru", 1), ("allkeys-lru", 0)):
        redis.policy = policy
        redis.call("SET", "kept", "1")
        redis.call("SET", "expires", "1", "EX", "100")

        redis.evict(1.0)

        assert redis.call("EXISTS", "kept", "expires") == left


def test_simulated_redis_loses_the_last_writes_and_its_scripts_when_it_fails_over() -> None:
    world = World(1)
    redis = Redis(world)
    sha = redis.call("SCRIPT", "LOAD", "return 1")
    redis.call("SET", "before", "1")
    first = redis.run_id
    redis.fail_over(1.0)
    redis.call("SET", "after", "1")
    while world._events:
        at, _, act, arguments = heapq.heappop(world._events)
        world.now = at
        act(*arguments)

    assert redis.is_up
    assert redis.run_id != first
    assert redis.call("MGET", "before", "after") == ["1", None]
    with pytest.raises(RedisReplyError, match="NOSCRIPT"):
        redis.call("EVALSHA", sha, "0")
