-- The state of a fleet's orders, many in one call. Constants stand in front of this text: the
-- `GENERATION` and when it `BEGAN`. The client loads the script under a new one when Redis has been
-- started, has failed over or was emptied. Scripts live in the memory of a running server only, so a
-- call that gets this far, with the same generation in KEYS[1], proves that no write of it was lost.
--
-- KEYS: the generation's key, the prefix of the workers' sets, the set of orders in doubt, and the
-- orders.
-- ARGV: act, worker, seconds that a heartbeat is good for, seconds that records are kept, and then
-- a fixed number of words for each order.
--
-- An order's record is text: `<generation> <owner> <digest> <sent>`, each `-` where there is none.
-- `sent` is when its bytes were last about to leave. Once placed it is `P <digest> <summary>`:
-- up to 28 bytes take 48 in Redis, and up to 44 take 64.
-- Each worker has a set of the orders that it has claimed, which its heartbeats keep alive.
--
-- Returns for `claim` a list for each order, for `sending` the places of the orders that are not this
-- worker's any more, and else nothing.
local act, me, alive, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local stored = redis.call('MGET', KEYS[1], unpack(KEYS, 4))
if stored[1] ~= GENERATION then
  return { 'generation' }
end

local workers, doubts, orders = KEYS[2], KEYS[3], {}
for place = 4, #KEYS do
  orders[place - 3] = KEYS[place]
end
if #orders == 0 then
  return {}
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local records, results = {}, {}
for place, order in ipairs(orders) do
  records[order] = stored[place + 1]
end

local function read(order)
  local record = records[order]
  if not record then
    return {}
  end
  local placed, summary = string.match(record, '^P (%S+) (.*)$')
  if placed then
    return { digest = placed, summary = summary }
  end
  local generation, owner, digest, sent = string.match(record, '^(%S+) (%S+) (%S+) (%S+)$')
  return {
    generation = generation,
    owner = owner ~= '-' and owner or nil,
    digest = digest ~= '-' and digest or nil,
    sent = tonumber(sent),
  }
end

local function write(order, record)
  records[order] = record
  redis.call('SET', order, record, 'EX', keep)
end

local function write_open(order, generation, owner, digest, sent)
  sent = sent and string.format('%.6f', sent) or '-'
  write(order, table.concat({ generation, owner or '-', digest or '-', sent }, ' '))
end

if act == 'register' then
  for _, order in ipairs(orders) do
    if records[order] then
      redis.call('EXPIRE', order, keep)
    else
      write_open(order, GENERATION)
    end
  end
  return {}
end

if act == 'claim' then
  local granted = {}
  for place, order in ipairs(orders) do
    local digest, was_queued = ARGV[3 + 2 * place], ARGV[4 + 2 * place] == 'queued'
    local known = read(order)
    local result
    if known.owner and known.owner ~= me then
      -- Whoever had it before a restart may not have sent a heartbeat yet.
      local unheard = known.generation ~= GENERATION and now - BEGAN < alive
      if unheard or redis.call('SISMEMBER', workers .. known.owner, order) == 1 then
        result = { 'held' }
      end
    end
    if result then
      -- Nothing is changed.
    elseif known.digest and known.digest ~= digest and (known.summary or known.sent) then
      result = { 'conflict' }
    elseif known.summary then
      result = { 'placed', known.summary }
    else
      local sent = known.sent
      local is_older = known.generation and known.generation ~= GENERATION
      if is_older or (was_queued and not known.generation) then
        -- The record of a sending may have been lost with an earlier generation, or by eviction.
        sent = now
      end
      write_open(order, GENERATION, me, digest, sent)
      granted[#granted + 1] = order
      -- As text: a number would lose its fraction on the way.
      result = { 'granted', sent and string.format('%.6f', math.max(0, now - sent)) or '' }
    end
    results[place] = result
  end
  if #granted > 0 then
    redis.call('SADD', workers .. me, unpack(granted))
    redis.call('EXPIRE', workers .. me, alive)
  end
  return results
end

if act == 'sending' then
  for place, order in ipairs(orders) do
    local known = read(order)
    if known.owner == me then
      write_open(order, GENERATION, me, known.digest, now)
    else
      results[#results + 1] = place
    end
  end
  return results
end

-- act == 'end'; each order: placed, nothing (there is no order), or open; digest, summary; reply
-- stream or nothing, ticket, reply.
local streams, replies, opened, closed = {}, {}, {}, {}
for place, order in ipairs(orders) do
  local first = 6 * place - 1
  local state, digest, summary = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local stream, ticket, reply = ARGV[first + 3], ARGV[first + 4], ARGV[first + 5]
  local known = read(order)
  if state == 'placed' then
    write(order, 'P ' .. digest .. ' ' .. summary)
  elseif known.owner == me and state == 'nothing' then
    records[order] = nil
    redis.call('DEL', order)
  elseif known.owner == me then
    write_open(order, known.generation, nil, known.digest, known.sent)
  elseif state == 'open' and not known.owner and not known.digest then
    -- Lost while it was under way: of no generation, so it is in doubt for whoever is next.
    write_open(order, '-', nil, digest, now)
  end
  if state == 'open' then
    table.insert(opened, now)
    table.insert(opened, order)
  else
    table.insert(closed, order)
  end
  if stream ~= '' then
    if not replies[stream] then
      replies[stream] = {}
      table.insert(streams, stream)
    end
    table.insert(replies[stream], ticket)
    table.insert(replies[stream], reply)
  end
end
redis.call('SREM', workers .. me, unpack(orders))
if #closed > 0 then
  redis.call('ZREM', doubts, unpack(closed))
end
if #opened > 0 then
  redis.call('ZADD', doubts, unpack(opened))
  redis.call('ZREMRANGEBYSCORE', doubts, '-inf', now - tonumber(keep))
  redis.call('EXPIRE', doubts, keep)
end
for _, stream in ipairs(streams) do
  redis.call('XADD', stream, '*', unpack(replies[stream]))
  redis.call('EXPIRE', stream, 3600)
end
return {}
