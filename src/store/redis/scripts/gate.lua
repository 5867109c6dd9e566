-- KEYS: 1 session, 2 nonce. ARGV: 1 API key digest, 2 life of the nonce or '', 3 name of the limit's counter
-- or '', 4 its count, 5 its window, 6 age at which a use is recorded again. Gives a refusal or nil, then
-- uses, reset and whether a touch is due.
local function open_gate(now)
  local session = redis.call('HMGET', KEYS[1], 'k', 'n', ARGV[3] .. ':used', ARGV[3] .. ':ends')
  if session[1] ~= ARGV[1] then return {'session'} end
  if ARGV[2] ~= '' and not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[2]) then
    return {'nonce'}
  end
  local used, reset = 0, 0
  if ARGV[3] ~= '' then
    used, reset = count_use(KEYS[1], ARGV[3], session[3], session[4], now, ARGV[5])
    if used > tonumber(ARGV[4]) then return {'limit', used, reset} end
  end
  return nil, used, reset, touch(KEYS[1], session[2], now, ARGV[6])
end
