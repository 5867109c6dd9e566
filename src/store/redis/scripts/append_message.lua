-- Accepts a message: every check, the entry and the wake in one step.
-- KEYS: 1 channel, 2 idempotency, 3 last, 4 messages, 5 wake, and for a message from a platform 6
-- conversations, 7 newest, 8 origin, 9 questions. ARGV: 1 type, 2 digest of the secret, 'verified' or
-- 'missing', 3 count of the limit or '' if it was counted before, 4 its window, 5 life of the idempotency key
-- or '', 6 message id or '' to ask only, 7 head, 8 extra, 9 cap, 10 revision or '', and for a message from a
-- platform 11 conversation, 12 details, 13 '1' for a question, 14 '1' if only a known conversation will do,
-- 15 life of a conversation, 16 life of an origin, 17 most conversations, 18 life of a question, 19 most
-- questions. The last one of all, if there is one more, is the step of a trace.
local channel = redis.call('HMGET', KEYS[1], 't', 's', 'e', 'r', 'in:used', 'in:ends', 'v')
if not channel[1] then return {'none'} end
if channel[1] ~= ARGV[1] then return {'type', channel[1]} end
if ARGV[10] ~= '' and channel[7] ~= ARGV[10] then return {'changed'} end
if ARGV[2] ~= 'verified' and channel[2] ~= ARGV[2] then return {'secret'} end
local now = now_ms()
local used, reset = 1, ARGV[4]
if ARGV[3] ~= '' then
  used, reset = count_use(KEYS[1], 'in', channel[5], channel[6], now, ARGV[4])
  if used > tonumber(ARGV[3]) then return {'limit', used, reset} end
end
if channel[3] ~= '1' then return {'disabled', used, reset} end
if ARGV[6] == '' then return {'admitted', used, reset} end
if ARGV[14] == '1' and not is_known(KEYS[6], now, ARGV[15], ARGV[11]) then return {'unknown', used, reset} end
if ARGV[5] ~= '' then
  local first = redis.call('SET', KEYS[2], ARGV[6], 'NX', 'GET', 'PX', ARGV[5])
  if first then
    -- The life it has, as a write: whoever waits until replicas have it, then waits for the first one's too.
    redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[2]))
    return {'again', used, reset, first}
  end
end
local record = ARGV[7] .. '\n' .. channel[1] .. '\n' .. channel[4] .. '\n' .. ARGV[8]
local trace = ARGV[KEYS[6] and 20 or 11]
local id, last = append(KEYS[4], KEYS[3], now, ARGV[9], record, trace)
if KEYS[6] then
  note_conversation(KEYS[6], KEYS[7], KEYS[8], id, ARGV[11], ARGV[12], ARGV[15], ARGV[16], ARGV[17])
  if ARGV[13] == '1' then
    redis.call('ZADD', KEYS[9], id, redis.sha1hex(ARGV[11]) .. ':' .. ARGV[6])
    redis.call('ZREMRANGEBYRANK', KEYS[9], 0, -1 - ARGV[19])
    redis.call('PEXPIRE', KEYS[9], ARGV[18])
  end
end
redis.call('SPUBLISH', KEYS[5], 'm' .. last .. ' ' .. id .. (trace and ' ' .. trace or '') .. '\n' .. record)
return {'ok', used, reset, id}
