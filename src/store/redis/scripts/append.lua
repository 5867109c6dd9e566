-- A stream's expiry is renewed by the first entry of each ten minutes, which is cheaper than by each.
local RENEWAL = 600000

-- Appends to a stream under an id after all before it, with the step of a trace if there is one, and gives that id and
-- the one before.
local function append(stream, last_key, now, cap, record, trace)
  local id = now
  local last = tonumber(redis.call('SET', last_key, id, 'PX', 2 * DAY, 'GET') or 0)
  if last >= id then
    id = last + 1
    redis.call('SET', last_key, id, 'PX', 2 * DAY)
  end
  if trace then
    redis.call('XADD', stream, 'MAXLEN', '~', cap, id .. '-0', 'd', record, 't', trace)
  else
    redis.call('XADD', stream, 'MAXLEN', '~', cap, id .. '-0', 'd', record)
  end
  if math.floor(id / RENEWAL) ~= math.floor(last / RENEWAL) then
    redis.call('PEXPIRE', stream, DAY + 2 * RENEWAL)
    -- Exactly: what is too old to be read must not lie there for as long as its neighbours are young.
    redis.call('XTRIM', stream, 'MINID', (id - DAY) .. '-0')
  end
  return id, last
end
