-- KEYS: 1–2 the gate, 3 status of the reply. ARGV: 1–6 the gate.
local refusal, used, reset, touch = open_gate(now_ms())
if refusal then return refusal end
return {'ok', used, reset, touch, redis.call('HMGET', KEYS[3], 'c', 's', 'a', 'x')}
