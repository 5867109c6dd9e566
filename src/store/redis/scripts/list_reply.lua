-- Lists a reply in the state that it has now. KEYS: 1–4 the lists. ARGV: 1–3 the lists, 4 response id, 5 place, 6
-- number of the list, 7 time from now by which it is sorted.
local now = now_ms()
enlist(tonumber(ARGV[6]), ARGV[4], ARGV[5], now + ARGV[7], now)
return 1
