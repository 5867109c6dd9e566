-- A page of a list. KEYS: 1 list, 2 places. ARGV: 1 '1' for the newest first, 2 by what the last entry of the page
-- before was sorted or '', 3 that entry, 4 count, 5 the only place that is wanted or ''. Gives the time, where the
-- next page starts (nil and nil at the end), and id, sort and place of each.
local newest_first, after, most = ARGV[1] == '1', tonumber(ARGV[2]), tonumber(ARGV[4])
local from, to = ARGV[2], '+inf'
if newest_first then to = '-inf' end
if not after then from = newest_first and '+inf' or '-inf' end
local ids, sorts, offset = {}, {}, 0
while true do
  local rows
  if newest_first then
    rows = redis.call('ZRANGE', KEYS[1], from, to, 'BYSCORE', 'REV', 'LIMIT', offset, most + 1, 'WITHSCORES')
  else
    rows = redis.call('ZRANGE', KEYS[1], from, to, 'BYSCORE', 'LIMIT', offset, most + 1, 'WITHSCORES')
  end
  for n = 1, #rows, 2 do
    local is_shown = tonumber(rows[n + 1]) == after
      and (newest_first and rows[n] >= ARGV[3] or not newest_first and rows[n] <= ARGV[3])
    if not is_shown then
      ids[#ids + 1], sorts[#sorts + 1] = rows[n], rows[n + 1]
    end
  end
  if #ids > most or #rows < 2 * (most + 1) then break end
  offset = offset + most + 1
end
local answer = {now_ms(), false, false}
if #ids > most then answer[2], answer[3] = sorts[most], ids[most] end
if #ids == 0 then return answer end
local places = redis.call('HMGET', KEYS[2], unpack(ids, 1, math.min(#ids, most)))
for n, place in ipairs(places) do
  if ARGV[5] == '' or place == ARGV[5] then
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = ids[n], sorts[n], place
  end
end
return answer
