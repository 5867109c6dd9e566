-- Ends one login or all of them; gives how many held. KEYS: 1 admins. ARGV: 1 digest or ''.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms())
if ARGV[1] ~= '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local held = redis.call('ZCARD', KEYS[1])
redis.call('DEL', KEYS[1])
return held
