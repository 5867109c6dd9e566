-- Reads entries after `since` (or, with a span, after now minus the span), never older than a day and
-- never beyond the newest `cap`. Gives the last instant ever given, and the entries.
local function read(stream, last_key, now, since, span, count, cap)
  local last = tonumber(redis.call('GET', last_key) or 0)
  local after = tonumber(since)
  if span ~= '' then after = now - tonumber(span) end
  if after < now - DAY then after = now - DAY end
  if last <= after then return last, {} end
  if redis.call('XLEN', stream) > cap then redis.call('XTRIM', stream, 'MAXLEN', cap) end
  return last, redis.call('XRANGE', stream, '(' .. after .. '-0', '+', 'COUNT', count)
end
