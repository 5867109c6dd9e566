-- KEYS: 1–3 the gate, 4 channels. ARGV: 1–5 the gate, 6 stem of the channels' keys, 7 one id or ''.
-- The channels' keys are made here: they share the slot of the declared ones.
local refusal, used, reset, touch = open_gate(now_ms())
if refusal then return refusal end
local ids = {ARGV[7]}
if ARGV[7] == '' then ids = redis.call('SMEMBERS', KEYS[4]) end
local answer = {'ok', used, reset, touch}
for _, id in ipairs(ids) do
  local channel = redis.call('HMGET', ARGV[6] .. id, 'd', 's', 'v')
  if channel[1] then answer[#answer + 1] = channel end
end
return answer
