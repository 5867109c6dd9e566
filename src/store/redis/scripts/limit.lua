-- Counts one use in a fixed window that starts with the first. The counter is two fields of a record that
-- the caller has read anyway, so that it costs one write and lives no longer than the record. Gives the
-- uses so far and the time until the window ends.
local function count_use(key, name, used, ends, now, window)
  used, ends = tonumber(used or 0) + 1, tonumber(ends or 0)
  if ends <= now then used, ends = 1, now + window end
  redis.call('HSET', key, name .. ':used', used, name .. ':ends', ends)
  return used, ends - now
end
