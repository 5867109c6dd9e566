-- Lists of the replies of one platform that are not delivered. A reply is in one of them at most, and has its place
-- as long as it is.
-- KEYS: 1 pending, 2 retrying, 3 failed, 4 places by reply. ARGV: 1 life of a reply under way, 2 life of one that
-- failed, 3 most that failed.
local FAILED = 3

local function unlist(id)
  for list = 1, 3 do redis.call('ZREM', KEYS[list], id) end
  redis.call('HDEL', KEYS[4], id)
end

-- Drops what lapsed, and of the failed the oldest beyond the most; a hundred at a time, which is more than come in.
local function trim(list, now)
  local life = list == FAILED and ARGV[2] or ARGV[1]
  for _, id in ipairs(redis.call('ZRANGE', KEYS[list], '-inf', now - life, 'BYSCORE', 'LIMIT', 0, 100)) do unlist(id) end
  if list ~= FAILED then return end
  local beyond = math.min(redis.call('ZCARD', KEYS[list]) - ARGV[3], 100)
  if beyond <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGE', KEYS[list], 0, beyond - 1)) do unlist(id) end
end

-- A retry may lie as far ahead as a reply under way lives.
local function enlist(list, id, place, at, now)
  for other = 1, 3 do
    if other ~= list then redis.call('ZREM', KEYS[other], id) end
  end
  redis.call('ZADD', KEYS[list], at, id)
  redis.call('HSET', KEYS[4], id, place)
  trim(list, now)
  redis.call('PEXPIRE', KEYS[list], list == FAILED and ARGV[2] or 2 * ARGV[1])
  redis.call('PEXPIRE', KEYS[4], ARGV[2])
end
