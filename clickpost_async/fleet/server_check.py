"""Checks, before orders are entrusted to a Redis, that it neither evicts nor moves them."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoPermissionError, ResponseError

from clickpost_async.fleet.redis_calls import UnsuitableRedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Older ones write scripts into their log, so that a restart could not be noticed.
_OLDEST = 7


async def check_server(redis: "Redis", *, check_eviction: bool) -> None:
    """Raise `UnsuitableRedisError` unless this Redis keeps what is written to it.

    A cluster, a Sentinel, a version before 7.0 and, with `check_eviction`, any `maxmemory-policy`
    but `noeviction` are refused.
    """
    hello = await _describe(redis)
    if hello["mode"] == "cluster":
        raise UnsuitableRedisError(
            "this Redis is a node of a cluster, which a fleet cannot use: queue and ledger have to"
            " be on one server; use a single Redis with a replica"
        )
    if hello["mode"] == "sentinel":
        raise UnsuitableRedisError(
            "this is a Sentinel, not a Redis: give the address of the master, or a host name that"
            " follows it"
        )
    if int(hello["version"].split(".")[0]) < _OLDEST:
        raise UnsuitableRedisError(
            f"this is Redis {hello['version']}; a fleet needs Redis 7.0 or later, or Valkey"
        )
    if check_eviction:
        await _check_eviction(redis)


async def _describe(redis: "Redis") -> dict[str, str]:
    # Not INFO: an ACL user without @dangerous may not call it.
    hello: Any = await redis.execute_command("HELLO")  # type: ignore[no-untyped-call]  # redis-py's
    pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True)
    return {str(name): str(value) for name, value in pairs}


async def _check_eviction(redis: "Redis") -> None:
    read = cast("Awaitable[dict[str, str]]", redis.config_get("maxmemory-policy"))
    try:
        policy = (await read).get("maxmemory-policy", "unknown")
    except (NoPermissionError, ResponseError) as error:
        if not isinstance(error, NoPermissionError) and "unknown command" not in str(error):
            raise
        raise UnsuitableRedisError(
            "cannot read maxmemory-policy, because this Redis forbids CONFIG: see that it is"
            " noeviction, then allow `ACL SETUSER <user> +config|get` or switch the check off"
            " (Ledger(..., check_eviction=False), or CLICKPOST_CHECK_EVICTION=no)"
        ) from None
    if policy != "noeviction":
        raise UnsuitableRedisError(
            f"maxmemory-policy is {policy}: Redis may evict the record of an order that was sent,"
            " or the queue; run `redis-cli config set maxmemory-policy noeviction`, and set it in"
            " redis.conf"
        )
