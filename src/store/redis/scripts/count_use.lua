-- Counts one use of a counter that is a key of its own. KEYS: 1 counter. ARGV: 1 window.
local used = redis.call('INCR', KEYS[1])
local reset = -1
if used > 1 then reset = redis.call('PTTL', KEYS[1]) end
if reset < 0 then
  reset = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], reset)
end
return {used, reset}
