-- Lists a channel as having something due, at the latest when it is listed already, and ends a claim.
-- KEYS: 1 due. ARGV: 1 member, 2 time from now, 3 life of the list.
local at = now_ms() + ARGV[2]
local listed = redis.call('ZSCORE', KEYS[1], ARGV[1])
if listed then at = math.min(at, math.floor(tonumber(listed))) end
redis.call('ZADD', KEYS[1], at, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
