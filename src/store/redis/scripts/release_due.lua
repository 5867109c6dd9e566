-- Ends a claim. Whoever lost it may still bring the next look forward, but neither put it off nor off the list.
-- KEYS: 1 due. ARGV: 1 member, 2 the claim, 3 time from now or ''.
local listed = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '')
if not listed then return 0 end
local is_held = listed == ARGV[2] + CLAIMED
if ARGV[3] == '' then return is_held and redis.call('ZREM', KEYS[1], ARGV[1]) or 0 end
local at = now_ms() + ARGV[3]
if not is_held and listed <= at then return 0 end
redis.call('ZADD', KEYS[1], at, ARGV[1])
return 1
