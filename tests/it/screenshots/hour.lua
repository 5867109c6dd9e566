-- Makes of what happened just now the events of an hour, and of an hour's traffic the counts. ARGV: 1 when it began, 2
-- milliseconds over which it is spread, 3 milliseconds over which the making of sessions is spread.
local time = redis.call('TIME')
local now, start = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[1])
local spread, age = ARGV[2] / (now - start), ARGV[3] / (now - start)

-- A text in which every instant since the beginning lies further back.
local function older(text, by)
  return (string.gsub(text, '%d+', function(digits)
    local at = tonumber(digits)
    if #digits == 13 and at >= start and at < now then return string.format('%.0f', now - (now - at) * by) end
  end))
end

local function rewrite(key)
  local form, life = redis.call('TYPE', key).ok, redis.call('PTTL', key)
  if form == 'hash' then
    local fields = redis.call('HGETALL', key)
    for n = 1, #fields, 2 do
      local is_creation = fields[n] == 'c' and string.find(key, ':session$')
      redis.call('HSET', key, fields[n], older(fields[n + 1], is_creation and age or spread))
    end
  elseif form == 'string' then
    redis.call('SET', key, older(redis.call('GET', key), spread), 'KEEPTTL')
  elseif form == 'zset' then
    local by = string.find(key, '}:created$') and age or spread
    local members = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for n = 1, #members, 2 do
      redis.call('ZREM', key, members[n])
      redis.call('ZADD', key, older(members[n + 1], by), older(members[n], by))
    end
    if life > 0 then redis.call('PEXPIRE', key, life) end
  elseif form == 'stream' then
    local entries = redis.call('XRANGE', key, '-', '+')
    redis.call('DEL', key)
    for _, entry in ipairs(entries) do redis.call('XADD', key, older(entry[1], spread), unpack(entry[2])) end
    if life > 0 then redis.call('PEXPIRE', key, life) end
  end
end

for _, key in ipairs(redis.call('KEYS', '*')) do
  if not string.find(key, '{deployment}:[mr]e') and not string.find(key, '{deployment}:admins') then rewrite(key) end
  if string.find(key, '{deployment}:recent') then rewrite(key) end
end

-- Minute by minute: messages, replies, delivered, retried, failed, over a limit, not authenticated.
for n = 1, 60 do
  local received = math.floor(52 + 24 * math.sin(n / 8) + 12 * math.sin(n * 2.3) + 9 * math.sin(n * 0.9))
  local sent = math.floor(received * (0.62 + 0.12 * math.sin(n * 1.7)))
  local is_rough = n >= 21 and n <= 24
  local counts = {received, sent, math.floor(sent * 0.7), is_rough and 6 or 0, 0}
  counts[6], counts[7] = is_rough and 9 or 0, n % 13 == 5 and 2 or 0
  local key = 'chaos:{deployment}:minute:' .. (math.floor(now / 60000) - n)
  for at, count in ipairs(counts) do
    if count > 0 then redis.call('HSET', key, at - 1, count) end
  end
  redis.call('PEXPIRE', key, 3600000)
end
return 'OK'
