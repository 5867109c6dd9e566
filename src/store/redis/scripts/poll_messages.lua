-- KEYS: 1–3 the gate, 4 last, 5 messages. ARGV: 1–5 the gate, 6 since, 7 span or '', 8 count, 9 cap.
local now = now_ms()
local refusal, used, reset, touch = open_gate(now)
if refusal then return refusal end
local last, rows = read(KEYS[5], KEYS[4], now, ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]))
return {'ok', used, reset, touch, last, rows}
