-- KEYS: 1 admins. ARGV: 1 digest.
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
return ends and tonumber(ends) > now_ms() and 1 or 0
