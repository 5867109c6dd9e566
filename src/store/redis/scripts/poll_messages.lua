-- KEYS: 1–2 the gate, 3 last, 4 messages. ARGV: 1–6 the gate, 7 since, 8 span or '', 9 count, 10 cap.
local now = now_ms()
local refusal, used, reset, touch = open_gate(now)
if refusal then return refusal end
local last, rows = read(KEYS[4], KEYS[3], now, ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]))
return {'ok', used, reset, touch, last, rows}
