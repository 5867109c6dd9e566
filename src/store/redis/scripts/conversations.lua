-- Conversations of a channel: a sorted set of `chat\nthread` by the time they were last heard of, a hash of
-- what is known of the newest message in each (`time\ndetails`), and a key for each message of late
-- (`time\nchat\nthread\ndetails`).

-- Notes a message. The conversation that was silent longest makes room.
local function note_conversation(set, newest, origin, at, conversation, details, life, origin_life, most)
  redis.call('ZADD', set, at, conversation)
  redis.call('HSET', newest, conversation, at .. '\n' .. details)
  local old = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  while tonumber(old[2]) < at - life or redis.call('ZCARD', set) > tonumber(most) do
    redis.call('ZREM', set, old[1])
    redis.call('HDEL', newest, old[1])
    old = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  end
  redis.call('PEXPIRE', set, life)
  redis.call('PEXPIRE', newest, life)
  redis.call('SET', origin, at .. '\n' .. conversation .. '\n' .. details, 'PX', origin_life)
end

local function is_known(set, now, life, conversation)
  local heard = redis.call('ZSCORE', set, conversation)
  return heard and tonumber(heard) >= now - life
end

-- The conversation that is meant: `exact` the one, `chat` one of that chat, else the newest; nil when there
-- is none.
local function find_conversation(set, now, life, mode, wanted)
  local after = now - life
  if mode == 'exact' then return is_known(set, now, life, wanted) and wanted or nil end
  if mode ~= 'chat' then return redis.call('ZRANGE', set, '+inf', after, 'BYSCORE', 'REV', 'LIMIT', 0, 1)[1] end
  local start = wanted .. '\n'
  if is_known(set, now, life, start) then return start end
  for _, conversation in ipairs(redis.call('ZRANGE', set, '+inf', after, 'BYSCORE', 'REV')) do
    if string.sub(conversation, 1, #start) == start then return conversation end
  end
end
