-- Multiplies a session: what the server holds of the one there is, it then holds of many more, each made a second
-- before the other. The server must hold nothing else. ARGV: 1 how many more, 2 creation in milliseconds, 3 user, 4
-- digest of the API key, 5 channel (the three begin with eight zeros), 6 name of the channel, which ends in eight zeros.
local marks = {ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]}

-- A text as an expression in which `m<n>` stands where it has mark n, and whether it has any.
local function expression(text)
  local parts, from = {}, 1
  while true do
    local first, last, which
    for n, mark in ipairs(marks) do
      local at, to = string.find(text, mark, from, true)
      if at and (not first or at < first) then first, last, which = at, to, n end
    end
    parts[#parts + 1] = string.format('%q', string.sub(text, from, (first or 0) - 1))
    if not first then return table.concat(parts, '..'), #parts > 1 end
    parts[#parts + 1] = 'm' .. which
    from = last + 1
  end
end

-- The commands that write the session once more, as the lines of a function.
local lines = {'return function(call, m1, m2, m3, m4, m5)'}
local verbs = {hash = 'HSET', set = 'SADD', zset = 'ZADD', string = 'SET'}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local form = redis.call('TYPE', key).ok
  local texts, width = {}, 1
  if form == 'hash' then
    texts, width = redis.call('HGETALL', key), 2
  elseif form == 'set' then
    texts = redis.call('SMEMBERS', key)
  elseif form == 'zset' then
    width = 2
    -- Scores come after their members and are written before them.
    for n, text in ipairs(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) do
      texts[n % 2 == 0 and n - 1 or n + 1] = text
    end
  else
    texts = {redis.call('GET', key)}
  end
  local of_key, is_own = expression(key)
  local command = {string.format('%q', verbs[form]), of_key}
  for n = 1, #texts, width do
    local one, one_has = expression(texts[n])
    local other, other_has
    if width == 2 then other, other_has = expression(texts[n + 1]) end
    if is_own or one_has or other_has then
      command[#command + 1] = one
      command[#command + 1] = other
    end
  end
  if #command > 2 then lines[#lines + 1] = 'call(' .. table.concat(command, ',') .. ')' end
  local life = redis.call('PTTL', key)
  if is_own and life > 0 then lines[#lines + 1] = 'call("PEXPIRE",' .. of_key .. ',"' .. life .. '")' end
end
lines[#lines + 1] = 'end'
local write = loadstring(table.concat(lines, '\n'))()

local call, format, sub = redis.call, string.format, string.sub
local of_user, of_key, of_channel, of_name = sub(ARGV[3], 9), sub(ARGV[4], 9), sub(ARGV[5], 9), sub(ARGV[6], 1, -9)
for number = 1, tonumber(ARGV[1]) do
  -- An odd factor spreads the ids and gives none of them twice.
  local start = format('%08x', (number * 2654435761) % 4294967296)
  local created, name = format('%.0f', ARGV[2] - number * 1000), of_name .. format('%08d', number)
  write(call, created, start .. of_user, start .. of_key, start .. of_channel, name)
end
return #lines - 2
