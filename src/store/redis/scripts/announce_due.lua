-- Lists a channel as having something due, at the latest when it is listed already, and ends a claim. With a reply
-- that is about to be stored, lists that as pending.
-- KEYS: 1–4 the lists of replies, 5 due. ARGV: 1–3 the lists of replies, 4 member, 5 time from now, 6 life of the
-- list, 7 response id or ''.
local now = now_ms()
local at = now + ARGV[5]
local listed = redis.call('ZSCORE', KEYS[5], ARGV[4])
if listed then at = math.min(at, math.floor(tonumber(listed))) end
redis.call('ZADD', KEYS[5], at, ARGV[4])
redis.call('PEXPIRE', KEYS[5], ARGV[6])
if ARGV[7] ~= '' then enlist(1, ARGV[7], ARGV[4], now, now) end
return 1
