-- KEYS: 1 channel, 2 last, 3 responses. ARGV: 1 type, 2 digest of the secret, 'verified' or 'missing',
-- 3 count of the limit, 4 its window, 5 since, 6 span or '', 7 count, 8 cap.
local channel = redis.call('HMGET', KEYS[1], 't', 's', 'out:used', 'out:ends')
if channel[1] ~= ARGV[1] then return {'none'} end
if ARGV[2] ~= 'verified' and channel[2] ~= ARGV[2] then return {'secret'} end
local now = now_ms()
local used, reset = count_use(KEYS[1], 'out', channel[3], channel[4], now, ARGV[4])
if used > tonumber(ARGV[3]) then return {'limit', used, reset} end
local last, rows = read(KEYS[3], KEYS[2], now, ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]))
return {'ok', used, reset, last, rows}
