-- Time is this server's own, so the clocks of the replicas do not matter. Milliseconds have 13 digits until
-- the year 2286, which `..` writes out in full.

local DAY = 86400000

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
