-- KEYS: 1–2 the gate, 3 channel, 4 responses, 5 their last instant, 6 status of the reply. ARGV: 1–6 the
-- gate, 7 type the client believes or '', 8 head, 9 extra, 10 channel id, 11 life of the status, 12 cap.
local now = now_ms()
local refusal, used, reset, touch = open_gate(now)
if refusal then return refusal end
local channel = redis.call('HMGET', KEYS[3], 't', 'o', 'd')
if not channel[1] then return {'ok', used, reset, touch, 'none'} end
if ARGV[7] ~= '' and channel[1] ~= ARGV[7] then return {'ok', used, reset, touch, 'type', channel[1]} end
append(KEYS[4], KEYS[5], now, ARGV[12], ARGV[8] .. '\n' .. channel[1] .. '\n' .. channel[2] .. '\n' .. ARGV[9])
redis.call('HSET', KEYS[6], 'c', ARGV[10], 's', 'stored', 'a', 0)
redis.call('PEXPIRE', KEYS[6], ARGV[11])
return {'ok', used, reset, touch, 'stored', channel[3]}
