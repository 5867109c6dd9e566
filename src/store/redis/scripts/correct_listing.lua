-- Puts a reply into the list where it belongs, unless it was listed anew since somebody looked.
-- KEYS: 1–4 the lists. ARGV: 1–3 the lists, 4 response id, 5 number of the list in which it was found, 6 by what it
-- was sorted there, 7 number of the list where it belongs or 0, 8 by what it is sorted there or '' for now.
local found = tonumber(redis.call('ZSCORE', KEYS[tonumber(ARGV[5])], ARGV[4]) or '')
if found ~= tonumber(ARGV[6]) then return 0 end
local list, place = tonumber(ARGV[7]), redis.call('HGET', KEYS[4], ARGV[4])
if list == 0 or not place then
  unlist(ARGV[4])
else
  local now = now_ms()
  enlist(list, ARGV[4], place, tonumber(ARGV[8]) or now, now)
end
return 1
