"""The commands of the simulated Redis."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.redis import Blocked, Redis, RedisReplyError, Reply, Status

_OK = Status("OK")


def _ok(redis: Redis, *_: str) -> Reply:
    return _OK


def _ping(redis: Redis, *_: str) -> Reply:
    return Status("PONG")


def _info(redis: Redis, *_: str) -> Reply:
    return redis.info()


def _time(redis: Redis) -> Reply:
    now = redis.now()
    return [str(int(now)), str(int(now % 1 * 1e6))]


def _hello(redis: Redis) -> Reply:
    facts = {"server": "redis", "version": "7.0.15", "mode": "standalone", "role": "master"}
    return [word for pair in facts.items() for word in pair]


def _config(redis: Redis, what: str, *names: str) -> Reply:
    if what.upper() != "GET":
        return _OK
    known = {"maxmemory-policy": redis.policy, "appendonly": "yes", "maxmemory": "0"}
    return [word for name in names if name in known for word in (name, known[name])]


def _evalsha(redis: Redis, sha: str, number: str, *words: str) -> Reply:
    keys = int(number)
    return redis.script(sha, list(words[:keys]), list(words[keys:]))


def _eval(redis: Redis, script: str, number: str, *words: str) -> Reply:
    return _evalsha(redis, redis.load(script), number, *words)


def _script(redis: Redis, what: str, *words: str) -> Reply:
    return redis.load(words[0]) if what.upper() == "LOAD" else _OK


# --- keys and texts -------------------------------------------------------------------------------


def _del(redis: Redis, *keys: str) -> Reply:
    return sum(redis.drop(key) for key in keys if redis.alive(key))


def _exists(redis: Redis, *keys: str) -> Reply:
    return sum(redis.alive(key) for key in keys)


def _expire(redis: Redis, key: str, seconds: str, *_: str) -> Reply:
    if not redis.alive(key):
        return 0
    redis.memory.expires[key] = redis.now() + float(seconds)
    return 1


def _pexpire(redis: Redis, key: str, milliseconds: str, *_: str) -> Reply:
    return _expire(redis, key, str(float(milliseconds) / 1000))


def _ttl(redis: Redis, key: str) -> Reply:
    if not redis.alive(key):
        return -2
    at = redis.memory.expires.get(key)
    return -1 if at is None else round(at - redis.now())


def _get(redis: Redis, key: str) -> Reply:
    return redis.get(key)


def _mget(redis: Redis, *keys: str) -> Reply:
    return [redis.get(key) for key in keys]


def _set(redis: Redis, key: str, value: str, *options: str) -> Reply:
    words = [option.upper() for option in options]
    had = redis.get(key)
    if ("NX" in words and had is not None) or ("XX" in words and had is None):
        return had if "GET" in words else None
    redis.memory.values[key] = value
    redis.memory.expires.pop(key, None)
    if "EX" in words:
        _expire(redis, key, options[words.index("EX") + 1])
    if "PX" in words:
        _pexpire(redis, key, options[words.index("PX") + 1])
    return had if "GET" in words else _OK


def _incr(redis: Redis, key: str) -> Reply:
    number = int(redis.get(key) or 0) + 1
    redis.memory.values[key] = str(number)
    return number


# --- hashes and sets ------------------------------------------------------------------------------


def _hset(redis: Redis, key: str, *pairs: str) -> Reply:
    found = redis.get(key, dict)
    before = len(found)
    found.update(zip(pairs[::2], pairs[1::2], strict=True))
    return len(found) - before


def _hget(redis: Redis, key: str, name: str) -> Reply:
    return (redis.get(key) or {}).get(name)


def _hmget(redis: Redis, key: str, *names: str) -> Reply:
    found = redis.get(key) or {}
    return [found.get(name) for name in names]


def _hgetall(redis: Redis, key: str) -> Reply:
    return [word for pair in (redis.get(key) or {}).items() for word in pair]


def _hdel(redis: Redis, key: str, *names: str) -> Reply:
    found = redis.get(key) or {}
    gone = sum(found.pop(name, None) is not None for name in names)
    if not found:
        redis.drop(key)
    return gone


def _sadd(redis: Redis, key: str, *members: str) -> Reply:
    # As a dictionary, so that it has an order.
    found = redis.get(key, dict)
    before = len(found)
    found.update(dict.fromkeys(members))
    return len(found) - before


def _srem(redis: Redis, key: str, *members: str) -> Reply:
    found = redis.get(key) or {}
    gone = sum(found.pop(member, 1) is None for member in members)
    if not found:
        redis.drop(key)
    return gone


def _sismember(redis: Redis, key: str, member: str) -> Reply:
    return int(member in (redis.get(key) or {}))


def _smembers(redis: Redis, key: str) -> Reply:
    return list(redis.get(key) or {})


def _scard(redis: Redis, key: str) -> Reply:
    return len(redis.get(key) or {})


def _hsetnx(redis: Redis, key: str, name: str, value: str) -> Reply:
    found = redis.get(key, dict)
    if name in found:
        return 0
    found[name] = value
    return 1


# --- sorted sets ----------------------------------------------------------------------------------


def _zadd(redis: Redis, key: str, *pairs: str) -> Reply:
    found = redis.get(key, dict)
    before = len(found)
    found.update(
        (member, float(score)) for score, member in zip(pairs[::2], pairs[1::2], strict=True)
    )
    return len(found) - before


def _zcard(redis: Redis, key: str) -> Reply:
    return len(redis.get(key) or {})


def _zscore(redis: Redis, key: str, member: str) -> Reply:
    score = (redis.get(key) or {}).get(member)
    return None if score is None else f"{score:g}"


def _within(redis: Redis, key: str, least: str, most: str) -> list[str]:
    found = redis.get(key) or {}
    return [member for member, score in found.items() if float(least) <= score <= float(most)]


def _zcount(redis: Redis, key: str, least: str, most: str) -> Reply:
    return len(_within(redis, key, least, most))


def _zrange(redis: Redis, key: str, first: str, last: str) -> Reply:
    found = redis.get(key) or {}
    members = sorted(found, key=lambda member: (found[member], member))
    return members[int(first) : None if last == "-1" else int(last) + 1]


def _zrem(redis: Redis, key: str, *members: str) -> Reply:
    found = redis.get(key) or {}
    gone = sum(found.pop(member, None) is not None for member in members)
    if not found:
        redis.drop(key)
    return gone


def _zremrangebyscore(redis: Redis, key: str, least: str, most: str) -> Reply:
    return _zrem(redis, key, *_within(redis, key, least, most))


# --- streams --------------------------------------------------------------------------------------


def _place(text: str) -> tuple[int, int]:
    first, _, second = text.partition("-")
    return int(first), int(second or 0)


def _xadd(redis: Redis, key: str, *words: str) -> Reply:
    rest = list(words)
    while rest[0] != "*":
        if rest[0].upper() == "NOMKSTREAM":
            rest.pop(0)
        elif rest[0].upper() in ("MAXLEN", "MINID"):
            del rest[: 3 if rest[1] in ("~", "=") else 2]
        else:
            message = f"ERR unsupported in XADD: {rest[0]}"
            raise RedisReplyError(message)
    stream = redis.get(key, list)
    milliseconds = int(redis.now() * 1000)
    last = _place(stream[-1][0]) if stream else (0, 0)
    place = max((milliseconds, 0), (last[0], last[1] + 1))
    number = f"{place[0]}-{place[1]}"
    stream.append((number, rest[1:]))
    redis.world.at(0.0, redis.wake)
    return number


def _xread(redis: Redis, *words: str) -> Reply:
    count, block, rest = 1000, None, list(words)
    while (name := rest.pop(0).upper()) != "STREAMS":
        if name == "COUNT":
            count = int(rest.pop(0))
        elif name == "BLOCK":
            block = int(rest.pop(0)) / 1000
    half = len(rest) // 2
    found: list[Any] = []
    for key, after in zip(rest[:half], rest[half:], strict=True):
        stream = redis.get(key) or []
        new = [[number, pairs] for number, pairs in stream if _place(number) > _place(after)]
        if new:
            found.append([key, new[:count]])
    if not found and block is not None:
        raise Blocked(block)
    return found or None


def _xtrim(redis: Redis, key: str, *words: str) -> Reply:
    stream = redis.get(key)
    if not stream:
        return 0
    least = words[-1]
    before = len(stream)
    if words[0].upper() == "MINID":
        stream[:] = [entry for entry in stream if _place(entry[0]) >= _place(least)]
    else:
        del stream[: max(0, before - int(least))]
    return before - len(stream)


def _xlen(redis: Redis, key: str) -> Reply:
    return len(redis.get(key) or [])


def _xdel(redis: Redis, key: str, *numbers: str) -> Reply:
    stream = redis.get(key) or []
    before = len(stream)
    stream[:] = [entry for entry in stream if entry[0] not in numbers]
    return before - len(stream)


COMMANDS: Mapping[str, Callable[..., Reply]] = {
    "client": _ok,
    "select": _ok,
    "auth": _ok,
    "ping": _ping,
    "info": _info,
    "time": _time,
    "hello": _hello,
    "config": _config,
    "evalsha": _evalsha,
    "eval": _eval,
    "script": _script,
    "del": _del,
    "unlink": _del,
    "exists": _exists,
    "expire": _expire,
    "pexpire": _pexpire,
    "ttl": _ttl,
    "get": _get,
    "mget": _mget,
    "set": _set,
    "incr": _incr,
    "hset": _hset,
    "hget": _hget,
    "hmget": _hmget,
    "hgetall": _hgetall,
    "hdel": _hdel,
    "hsetnx": _hsetnx,
    "zadd": _zadd,
    "zcard": _zcard,
    "zcount": _zcount,
    "zrange": _zrange,
    "zrem": _zrem,
    "zremrangebyscore": _zremrangebyscore,
    "zscore": _zscore,
    "sadd": _sadd,
    "srem": _srem,
    "sismember": _sismember,
    "smembers": _smembers,
    "scard": _scard,
    "xadd": _xadd,
    "xread": _xread,
    "xtrim": _xtrim,
    "xlen": _xlen,
    "xdel": _xdel,
}
