-- What was said in a session, newest first: a merge of the stream of messages and those of its channels' responses,
-- each read backwards and no further than the page needs.
-- KEYS: 1 session, 2 channels, 3 messages. ARGV: 1 stem of responses, 2 stem of their last instants, 3 instant
-- before which to read or '', 4 channel of the response at that instant, '' for the message, 5 'in', 'out' or '',
-- 6 the one channel or '', 7 count, 8 most messages, 9 most responses of a channel, 10 most entries looked at.
-- The channels' keys are made here: they share the slot of the declared ones.
-- Gives the instant and channel where the next page starts (0 at the end), then rows of channel ('' for a message),
-- id and record.
if redis.call('EXISTS', KEYS[1]) == 0 then return {'session'} end
local oldest = now_ms() - DAY
-- Fourteen digits are as many as `..` writes out in full.
local LATEST = 99999999999999
local before, before_name = tonumber(ARGV[3]), ARGV[4]

-- Whether a name sorts before another by its bytes, in whatever language the server runs.
local function sorts_before(one, other)
  for n = 1, math.min(#one, #other) do
    local x, y = string.byte(one, n), string.byte(other, n)
    if x ~= y then return x < y end
  end
  return #one < #other
end

-- Whether an entry is newer than another. A message, whose name is empty, is the oldest of its instant.
local function is_newer(one, other)
  if one.at ~= other.at then return one.at > other.at end
  return sorts_before(other.name, one.name)
end

-- Moves a source to its next entry; false at its end. It reads more at a time the longer it is read.
local function advance(source)
  source.row = source.row + 1
  if source.row > #source.rows then
    if source.upto <= oldest or source.is_short then return false end
    source.rows = redis.call('XREVRANGE', source.stream, source.upto .. '-0', '(' .. oldest .. '-0', 'COUNT',
      source.chunk)
    source.is_short = #source.rows < source.chunk
    source.row, source.chunk = 1, math.min(2 * source.chunk, 64)
    if not source.rows[1] then return false end
  end
  source.at = tonumber(string.match(source.rows[source.row][1], '^%d+'))
  source.upto = source.at - 1
  return true
end

local sources = {}
local function open(stream, name, cap, chunk)
  if redis.call('XLEN', stream) > cap then redis.call('XTRIM', stream, 'MAXLEN', cap) end
  local upto = LATEST
  if before and before <= LATEST then upto = sorts_before(name, before_name) and before or before - 1 end
  local source = {stream = stream, name = name, upto = upto, rows = {}, row = 0, chunk = chunk}
  if advance(source) then sources[#sources + 1] = source end
end

if ARGV[5] ~= 'out' then open(KEYS[3], '', tonumber(ARGV[8]), 16) end
if ARGV[5] ~= 'in' then
  local names = {ARGV[6]}
  if ARGV[6] == '' then names = redis.call('SMEMBERS', KEYS[2]) end
  local lasts = {}
  for n, name in ipairs(names) do lasts[n] = ARGV[2] .. name end
  if lasts[1] then lasts = redis.call('MGET', unpack(lasts)) end
  for n, name in ipairs(names) do
    -- Most channels have no response of the last day.
    if tonumber(lasts[n] or 0) > oldest then open(ARGV[1] .. name, name, tonumber(ARGV[9]), 1) end
  end
end
table.sort(sources, is_newer)

-- The channel in a message's record stands behind two ids.
local needle = '","channelId":"' .. ARGV[6] .. '","from":'
local function is_wanted(name, record)
  return name ~= '' or ARGV[6] == '' or string.sub(record, 91, 90 + #needle) == needle
end

local answer, looked_at = {'ok', 0, ''}, 0
while sources[1] do
  if #answer - 3 >= tonumber(ARGV[7]) or looked_at >= tonumber(ARGV[10]) then return answer end
  local source = sources[1]
  local row = source.rows[source.row]
  answer[2], answer[3] = source.at, source.name
  if is_wanted(source.name, row[2][2]) then answer[#answer + 1] = {source.name, row[1], row[2][2]} end
  looked_at = looked_at + 1
  if advance(source) then
    local place = 1
    while sources[place + 1] and is_newer(sources[place + 1], source) do
      sources[place] = sources[place + 1]
      place = place + 1
    end
    sources[place] = source
  else
    table.remove(sources, 1)
  end
end
answer[2], answer[3] = 0, ''
return answer
