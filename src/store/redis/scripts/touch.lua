-- Records that a session is used, unless its last recorded use is younger than `age`. Gives 1 if it was
-- recorded, 0 if not.
local function touch(key, last, now, age)
  if now - tonumber(last or 0) <= tonumber(age) then return 0 end
  redis.call('HSET', key, 'n', now)
  return 1
end
