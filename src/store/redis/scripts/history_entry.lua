-- One entry of a history. KEYS: 1 session, 2 stream. ARGV: 1 instant. Gives the record, or nil.
if redis.call('EXISTS', KEYS[1]) == 0 or tonumber(ARGV[1]) <= now_ms() - DAY then return false end
local id = ARGV[1] .. '-0'
local found = redis.call('XRANGE', KEYS[2], id, id)[1]
return found and found[2][2]
