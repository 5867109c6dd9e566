-- Shared by every script: time, counters, the gate of authenticated calls, and reading a stream.
-- Time is this server's own, so the clocks of the replicas do not matter.

local DAY = 86400000
-- A stream's expiry is renewed by the first entry of each ten minutes, which is cheaper than by each.
local RENEWAL = 600000
local STREAM_LIFE = DAY + 2 * RENEWAL
local LAST_LIFE = 2 * DAY

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function int(n)
  return string.format('%.0f', n)
end

-- Counts one use in a fixed window; gives the uses so far and the time until the window ends.
local function count_use(key, window)
  local used = redis.call('INCR', key)
  local reset = tonumber(window)
  if used > 1 then
    reset = redis.call('PTTL', key)
    if reset >= 0 then return used, reset end
    reset = tonumber(window)
  end
  redis.call('PEXPIRE', key, window)
  return used, reset
end

-- KEYS: 1 session, 2 nonce, 3 limit. ARGV: 1 API key digest, 2 life of the nonce or '', 3 count of the
-- limit or '', 4 its window, 5 age at which a use is recorded again. Gives a refusal or nil, then uses, reset and whether a touch is due.
local function open_gate(now)
  local session = redis.call('HMGET', KEYS[1], 'k', 'n')
  if session[1] ~= ARGV[1] then return {'session'} end
  if ARGV[2] ~= '' and not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[2]) then
    return {'nonce'}
  end
  local used, reset = 0, 0
  if ARGV[3] ~= '' then
    used, reset = count_use(KEYS[3], ARGV[4])
    if used > tonumber(ARGV[3]) then return {'limit', used, reset} end
  end
  local touch = 0
  if now - tonumber(session[2] or 0) > tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[1], 'n', int(now))
    touch = 1
  end
  return nil, used, reset, touch
end

-- Appends to a stream under an id after all before it, and gives that id and the one before.
local function append(stream, last_key, now, cap, record)
  local last = tonumber(redis.call('GET', last_key) or '0')
  local id = now
  if id <= last then id = last + 1 end
  redis.call('XADD', stream, 'MAXLEN', '~', cap, int(id) .. '-0', 'd', record)
  redis.call('SET', last_key, int(id), 'PX', LAST_LIFE)
  if math.floor(id / RENEWAL) ~= math.floor(last / RENEWAL) then
    redis.call('PEXPIRE', stream, STREAM_LIFE)
    redis.call('XTRIM', stream, 'MINID', '~', int(id - DAY) .. '-0')
  end
  return id, last
end

-- Reads entries after `since` (or, with a span, after now minus the span), never older than a day and
-- never beyond the newest `cap`. Gives the last instant ever given, and the entries.
local function read(stream, last_key, now, since, span, count, cap)
  local last = tonumber(redis.call('GET', last_key) or '0')
  local after = tonumber(since)
  if span ~= '' then after = now - tonumber(span) end
  if after < now - DAY then after = now - DAY end
  if last <= after then return int(last), {} end
  if redis.call('XLEN', stream) > cap then redis.call('XTRIM', stream, 'MAXLEN', cap) end
  return int(last), redis.call('XRANGE', stream, '(' .. int(after) .. '-0', '+', 'COUNT', count)
end
