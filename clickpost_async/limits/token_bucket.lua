-- The pace of one account, on Redis' own clock. Calls leave in slots, an interval apart; a process
-- requests some, and learns when they are. What is known of an account is a hash: when the `next`
-- slot is, until when all are `held`, when the clock was last `seen`, and the
-- `generation`, within which slots that were granted before can be compared with `next`.
local interval, slack, lapse = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local want, hold = tonumber(ARGV[4]), tonumber(ARGV[5])
-- Slots that the process was granted before and has not used: their generation, the first, how many.
local own, first, count = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local known = redis.call('HMGET', KEYS[1], 'next', 'held', 'seen', 'generation')
local next, held, seen = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
local generation = known[4]

-- As Lua writes a number of itself, it keeps 14 digits of it.
local function exact(number)
  return string.format('%.17g', number)
end

if not next then
  -- What left before is unknown: no burst.
  next, held, generation = now, now, exact(now)
elseif now < seen then
  -- A clock that steps back: what is still to be waited stays.
  next, held, generation = next - (seen - now), held - (seen - now), exact(now)
elseif own == generation and first + count * interval > next + 0.0001 then
  -- `next` only grows, but this one does not know of slots it granted: a replica that had not
  -- received them took over. What was granted before is void. (0.1 ms: rounding of a hundred slots.)
  next, generation = first + count * interval, exact(now)
end

if hold > 0 then
  held = math.max(held, now + hold)
end
if own ~= generation then
  count = 0
elseif count > 0 and math.abs(first + count * interval - next) < interval / 1000 then
  -- None were granted after them: they count as never requested.
  next, count = first, 0
elseif first < math.max(held, now - lapse) then
  count = 0
end
next = math.max(next, held)

local base = next
local fresh = math.max(0, want - count)
if fresh > 0 then
  base = math.max(next, now - slack)
  next = base + fresh * interval
end

redis.call(
  'HSET', KEYS[1], 'next', exact(next), 'held', exact(held), 'seen', exact(now),
  'generation', generation
)
-- A month after the last slot it is forgotten, and begins without a burst.
redis.call('EXPIRE', KEYS[1], math.ceil(math.max(0, next - now)) + 2592000)
return { generation, exact(now), count, exact(base), exact(held) }
