-- KEYS: 1–3 the gate, 4 status of the reply. ARGV: 1–5 the gate.
local refusal, used, reset, touch = open_gate(now_ms())
if refusal then return refusal end
return {'ok', used, reset, touch, redis.call('HMGET', KEYS[4], 'c', 's', 'a', 'x')}
