-- KEYS: 1–2 the gate, 3 channels. ARGV: 1–6 the gate, 7 stem of the channels' keys, 8 one id or ''.
-- The channels' keys are made here: they share the slot of the declared ones.
local refusal, used, reset, touch = open_gate(now_ms())
if refusal then return refusal end
local ids = {ARGV[8]}
if ARGV[8] == '' then ids = redis.call('SMEMBERS', KEYS[3]) end
local answer = {'ok', used, reset, touch}
for _, id in ipairs(ids) do
  local channel = redis.call('HMGET', ARGV[7] .. id, 'd', 's', 'v')
  if channel[1] then answer[#answer + 1] = channel end
end
return answer
