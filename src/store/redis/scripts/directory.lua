-- The directory of sessions, in one slot: sorted sets of users by their last use and by their creation, one of
-- names as `<name>\0<user>` in lexical order, and for each user a hash of what is listed: a channel's id (empty
-- for the user's own) and its names, one a line. The hash is what makes it possible to take names off again.

-- Lists these names (lines) of a channel in place of those it had. A name that another channel has too stays.
local function list_names(names, own, user, channel, lines)
  local before = redis.call('HGET', own, channel) or ''
  if lines == '' then redis.call('HDEL', own, channel) else redis.call('HSET', own, channel, lines) end
  local listed
  for name in string.gmatch(before, '[^\n]+') do
    listed = listed or '\n' .. table.concat(redis.call('HVALS', own), '\n') .. '\n'
    if not string.find(listed, '\n' .. name .. '\n', 1, true) then redis.call('ZREM', names, name .. '\0' .. user) end
  end
  for name in string.gmatch(lines, '[^\n]+') do redis.call('ZADD', names, 0, name .. '\0' .. user) end
end

-- Takes a user off all lists.
local function unlist(seen, created, names, own, user)
  redis.call('ZREM', seen, user)
  redis.call('ZREM', created, user)
  for _, lines in ipairs(redis.call('HVALS', own)) do
    for name in string.gmatch(lines, '[^\n]+') do redis.call('ZREM', names, name .. '\0' .. user) end
  end
  redis.call('DEL', own)
end
