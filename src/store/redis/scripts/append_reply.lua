-- KEYS: 1–3 the gate, 4 channel, 5 responses, 6 their last instant, 7 status of the reply. ARGV: 1–5 the
-- gate, 6 type the client believes or '', 7 head, 8 extra, 9 channel id, 10 life of
-- the status, 11 cap.
local now = now_ms()
local refusal, used, reset, touch = open_gate(now)
if refusal then return refusal end
local channel = redis.call('HMGET', KEYS[4], 't', 'o', 'd')
if not channel[1] then return {'ok', used, reset, touch, 'none'} end
if ARGV[6] ~= '' and channel[1] ~= ARGV[6] then return {'ok', used, reset, touch, 'type', channel[1]} end
append(KEYS[5], KEYS[6], now, ARGV[11], ARGV[7] .. '\n' .. channel[1] .. '\n' .. channel[2] .. '\n' .. ARGV[8])
redis.call('HSET', KEYS[7], 'c', ARGV[9], 's', 'stored', 'a', 0)
redis.call('PEXPIRE', KEYS[7], ARGV[10])
return {'ok', used, reset, touch, 'stored', channel[3]}
