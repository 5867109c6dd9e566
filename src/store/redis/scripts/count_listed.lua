-- KEYS: 1–4 the lists. ARGV: 1–3 the lists. Gives how long each list is.
local now = now_ms()
for list = 1, 3 do trim(list, now) end
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3])}
