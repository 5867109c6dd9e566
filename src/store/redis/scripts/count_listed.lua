-- KEYS: 1–4 the lists. ARGV: 1–3 the lists. Gives how long each list is, and for how long the first reply under way
-- has been due.
local now = now_ms()
for list = 1, 3 do trim(list, now) end
local first = now
for list = 1, FAILED - 1 do
  local due = redis.call('ZRANGE', KEYS[list], 0, 0, 'WITHSCORES')[2]
  if due then first = math.min(first, tonumber(due)) end
end
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]), now - first}
