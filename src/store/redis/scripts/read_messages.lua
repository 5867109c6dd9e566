-- KEYS: 1 last, 2 messages. ARGV: 1 since, 2 span or '', 3 count, 4 cap.
local last, rows = read(KEYS[2], KEYS[1], now_ms(), ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]))
return {last, rows}
