-- KEYS: 1–2 the gate, 3 channel, 4 responses, 5 their last instant, 6 the reply, and with a delivery 7
-- conversations, 8 newest, 9 origin of the message that is answered or any other key, 10 questions, 11 queues.
-- ARGV: 1–6 the gate, 7 type the client believes or '', 8 head, 9 extra, 10 channel id, 11 life of the status,
-- 12 cap, and with a delivery 13 response id, 14 content, 15 'exact', 'chat' or 'any', 16 what is wanted, 17 id
-- of the message that is answered or '', 18 stem of origins, 19 stem of queues, 20 life of a conversation, 21
-- life of a question, 22 most replies in a queue, 23 life of a queued reply, 24 type
-- under which the delivery is listed, and the step of a trace if there is one.
local now = now_ms()
local refusal, used, reset, touch = open_gate(now)
if refusal then return refusal end
local channel = redis.call('HMGET', KEYS[3], 't', 'o', 'd', 'e')
local function answer(word, more, id) return {'ok', used, reset, touch, word, more, id} end
if not channel[1] then return answer('none') end
if ARGV[7] ~= '' and channel[1] ~= ARGV[7] then return answer('type', channel[1]) end
local record = ARGV[8] .. '\n' .. channel[1] .. '\n' .. channel[2] .. '\n' .. ARGV[9]

if channel[1] == 'webhook' then
  local id = append(KEYS[4], KEYS[5], now, ARGV[12], record)
  redis.call('HSET', KEYS[6], 'c', ARGV[10], 's', 'stored', 'a', 0)
  redis.call('PEXPIRE', KEYS[6], ARGV[11])
  return answer('stored', channel[3], id)
end

if ARGV[24] ~= channel[1] then return answer('deliver', channel[1]) end
if channel[4] ~= '1' then return answer('disabled', channel[3]) end

-- Which message is answered, and where that goes.
local at, said_in, details
local origin = ARGV[17] ~= '' and redis.call('GET', KEYS[9])
if origin then
  local chat, thread
  at, chat, thread, details = string.match(origin, '^(%d+)\n([^\n]*)\n([^\n]*)\n(.*)$')
  said_in = chat .. '\n' .. thread
end
local conversation
if ARGV[15] == 'any' and said_in then
  conversation = find_conversation(KEYS[7], now, ARGV[20], 'exact', said_in)
else
  conversation = find_conversation(KEYS[7], now, ARGV[20], ARGV[15], ARGV[16])
  if not conversation and ARGV[15] == 'any' then return answer('nobody') end
end
if not conversation then return answer('nowhere') end
local is_reply_to = said_in == conversation

local digest = redis.sha1hex(conversation)
local queue = ARGV[19] .. digest
if redis.call('LLEN', queue) >= tonumber(ARGV[22]) then return answer('full') end

-- The question that this reply completes: the message's own, else the newest open one of the conversation.
local completes = ''
local open_since = now - ARGV[21]
if is_reply_to then
  local question = digest .. ':' .. ARGV[17]
  local asked = redis.call('ZSCORE', KEYS[10], question)
  if asked then
    redis.call('ZREM', KEYS[10], question)
    if tonumber(asked) > open_since then completes = '1' end
  end
else
  for _, question in ipairs(redis.call('ZRANGE', KEYS[10], '+inf', '(' .. open_since, 'BYSCORE', 'REV')) do
    if string.sub(question, 1, #digest) == digest then
      redis.call('ZREM', KEYS[10], question)
      local asked = redis.call('GET', ARGV[18] .. string.sub(question, #digest + 2))
      if asked then
        completes = '1'
        at, details = string.match(asked, '^(%d+)\n[^\n]*\n[^\n]*\n(.*)$')
        break
      end
    end
  end
  if completes == '' then
    at, details = string.match(redis.call('HGET', KEYS[8], conversation) or '0\n{}', '^(%d+)\n(.*)$')
  end
end

local id = append(KEYS[4], KEYS[5], now, ARGV[12], record)
redis.call('HSET', KEYS[6], 'c', ARGV[10], 's', 'pending', 'a', 0, 'k', conversation, 'b', ARGV[14], 'o', details,
  'm', is_reply_to and '1' or '', 'q', completes, 't', at, 'f', now)
if ARGV[25] then redis.call('HSET', KEYS[6], 'y', ARGV[25]) end
redis.call('PEXPIRE', KEYS[6], ARGV[23])
redis.call('RPUSH', queue, ARGV[13])
redis.call('PEXPIRE', queue, ARGV[23])
redis.call('ZADD', KEYS[11], 'NX', now, digest)
redis.call('PEXPIRE', KEYS[11], ARGV[23])
return answer('stored', channel[3], id)
