-- KEYS: 1 counter. ARGV: 1 window.
local used, reset = count_use(KEYS[1], ARGV[1])
return {used, reset}
