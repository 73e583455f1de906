-- Counts the processes that were alive within 15 s, and books calls that leave without a slot.
local process, calls, interval = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local next = tonumber(redis.call('HGET', KEYS[1], 'next') or '')
if next and calls > 0 then
  next = math.max(next, now) + calls * interval
  redis.call('HSET', KEYS[1], 'next', string.format('%.17g', next))
end
if next then
  redis.call('HSET', KEYS[1], 'interval', ARGV[3])
end
redis.call('ZADD', KEYS[2], now, process)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 15)
redis.call('EXPIRE', KEYS[2], 15)
return redis.call('ZCARD', KEYS[2])
