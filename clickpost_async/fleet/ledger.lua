-- What a fleet knows of one order. Until it is placed, a hash: whose it is (`owner`), in which life
-- of this Redis that was said (`era`), what is sent (`digest`), and when its bytes were last about
-- to leave (`sent`); then the `answer`, too. Beside it a set for every worker that lives, of the
-- orders that it has. A feeder writes `era` before it queues an order: a hash that is missing later
-- was forgotten (FLUSHALL, eviction, a restart), and the order may have been sent.
local order, workers = KEYS[1], KEYS[2]
local act, me, alive = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local known = redis.call('HMGET', order, 'owner', 'era', 'digest', 'sent', 'answer')
local owner, era, digest, sent, answer = known[1], known[2], known[3], tonumber(known[4]), known[5]

local function note_sent(at)
  sent = at
  redis.call('HSET', order, 'sent', string.format('%.17g', at))
end

if act == 'claim' then
  local content, registered, keep = ARGV[4], ARGV[5] == 'registered', ARGV[6]
  local server = redis.call('INFO', 'server')
  local this_era = string.match(server, 'run_id:(%w+)')
  if owner and owner ~= me then
    -- Who had it before a restart may not have been able yet to say that it lives.
    local age = tonumber(string.match(server, 'uptime_in_seconds:(%d+)'))
    local unheard = era ~= this_era and age < alive
    if unheard or redis.call('SISMEMBER', workers .. owner, order) == 1 then
      return { 'busy' }
    end
  end
  if digest and digest ~= content and (answer or sent) then
    return { 'changed' }
  end
  if answer then
    return { 'placed', answer }
  end
  if (era and era ~= this_era) or (registered and not era) then
    -- Another Redis, or this one before it was restarted or emptied, may have known of a sending.
    note_sent(now)
  end
  redis.call('HSET', order, 'owner', me, 'era', this_era, 'digest', content)
  redis.call('EXPIRE', order, keep)
  redis.call('SADD', workers .. me, order)
  redis.call('EXPIRE', workers .. me, alive)
  -- As text: a number would lose its fraction on the way.
  return { 'yours', sent and string.format('%.6f', math.max(0, now - sent)) or '' }
end

if act == 'sending' then
  if owner ~= me then
    return { 'lost' }
  end
  note_sent(now)
  redis.call('EXPIRE', order, ARGV[4])
  return { 'yours' }
end

-- act == 'end': placed, nothing (there is no order), or open.
local became, content, written, keep = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
redis.call('SREM', workers .. me, order)
if became == 'placed' then
  redis.call('HSET', order, 'digest', content, 'answer', written)
  redis.call('HDEL', order, 'owner')
  redis.call('EXPIRE', order, keep)
elseif owner == me then
  if became == 'nothing' then
    redis.call('DEL', order)
  else
    redis.call('HDEL', order, 'owner')
  end
elseif became == 'open' and not owner and not digest then
  -- Forgotten while it was under way; without an era, it is in doubt for whoever is next.
  redis.call('HSET', order, 'era', '', 'digest', content)
  note_sent(now)
  redis.call('EXPIRE', order, keep)
end
return { 'ended' }
