-- What a fleet knows of one order. Until it is placed, a hash: whose it is (`owner`), what is sent
-- (`digest`), and when its bytes were last about to leave (`sent`); then the `answer`, too.
local act, me = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local known = redis.call('HMGET', KEYS[1], 'owner', 'digest', 'sent', 'answer')
local owner, digest, sent, answer = known[1], known[2], tonumber(known[3]), known[4]

if act == 'claim' then
  local content, fed_in, alive, keep = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
  if owner and owner ~= me and redis.call('EXISTS', alive .. owner) == 1 then
    return { 'busy' }
  end
  if digest and digest ~= content and (answer or sent) then
    return { 'changed' }
  end
  if answer then
    return { 'placed', answer }
  end
  local era = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  if not digest and fed_in ~= '' and fed_in ~= era then
    -- Another Redis, or this one before it was restarted, may have known of a sending.
    sent = now
    redis.call('HSET', KEYS[1], 'sent', string.format('%.17g', sent))
  end
  redis.call('HSET', KEYS[1], 'owner', me, 'digest', content)
  redis.call('EXPIRE', KEYS[1], keep)
  -- As text: a number would lose its fraction on the way.
  return { 'yours', sent and string.format('%.6f', math.max(0, now - sent)) or '' }
end

if act == 'sending' then
  local content, keep = ARGV[3], ARGV[4]
  if owner and owner ~= me then
    return { 'lost' }
  end
  redis.call('HSET', KEYS[1], 'owner', me, 'digest', content, 'sent', string.format('%.17g', now))
  redis.call('EXPIRE', KEYS[1], keep)
  return { 'yours' }
end

-- act == 'end': placed, nothing (there is no order), or open.
local became, content, written, keep = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if became == 'placed' then
  redis.call('HSET', KEYS[1], 'digest', content, 'answer', written)
  redis.call('HDEL', KEYS[1], 'owner')
  redis.call('EXPIRE', KEYS[1], keep)
elseif owner == me then
  if became == 'nothing' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('HDEL', KEYS[1], 'owner')
  end
end
return { 'ended' }
