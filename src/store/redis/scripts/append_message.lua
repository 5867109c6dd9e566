-- Accepts a message: every check, the entry and the wake in one step.
-- KEYS: 1 channel, 2 idempotency, 3 last, 4 messages, 5 wake. ARGV: 1 type, 2 digest of the secret,
-- 'verified' or 'missing', 3 count of the limit or '' if it was counted before, 4 its window, 5 life of the
-- idempotency key or '', 6 message id or '' to ask only, 7 head, 8 extra, 9 cap.
local channel = redis.call('HMGET', KEYS[1], 't', 's', 'e', 'r', 'in:used', 'in:ends')
if not channel[1] then return {'none'} end
if channel[1] ~= ARGV[1] then return {'type', channel[1]} end
if ARGV[2] ~= 'verified' and channel[2] ~= ARGV[2] then return {'secret'} end
local now = now_ms()
local used, reset = 1, ARGV[4]
if ARGV[3] ~= '' then
  used, reset = count_use(KEYS[1], 'in', channel[5], channel[6], now, ARGV[4])
  if used > tonumber(ARGV[3]) then return {'limit', used, reset} end
end
if channel[3] ~= '1' then return {'disabled', used, reset} end
if ARGV[6] == '' then return {'admitted', used, reset} end
if ARGV[5] ~= '' then
  local first = redis.call('SET', KEYS[2], ARGV[6], 'NX', 'GET', 'PX', ARGV[5])
  if first then return {'again', used, reset, first} end
end
local record = ARGV[7] .. '\n' .. channel[1] .. '\n' .. channel[4] .. '\n' .. ARGV[8]
local id, last = append(KEYS[4], KEYS[3], now, ARGV[9], record)
redis.call('SPUBLISH', KEYS[5], 'm' .. last .. ' ' .. id .. '\n' .. record)
return {'ok', used, reset, id}
