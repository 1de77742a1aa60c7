-- One publication of a partition: checks the owner, writes packed values, keeps the member sets in step.
-- KEYS: head, clock, applied, rebuilding, published.
-- ARGV: epoch, n, clock, applied (log epoch, space, offset), user prefix, members prefix, packed changes (msgpack:
-- a flat list of strings: tenant, user id, packed value, ...), published (empty: as it is). Everything is a string: Lua's numbers print with 14 digits.
-- Answers {'ok'} or {what is wrong, head}. A script that fails half-way is not rolled back: all checks come first.
local RECORD, COMING = 25, 2
local epoch, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local head = redis.call('GET', KEYS[1])
if not head then return {'missing', ''} end
local found_epoch, found_n = string.match(head, '^(%d+) (%d+)$')
if tonumber(found_epoch) > epoch then return {'fenced', head} end
-- n itself: our own script whose answer was lost; it is repeatable
if tonumber(found_epoch) < epoch or (tonumber(found_n) ~= n - 1 and tonumber(found_n) ~= n) then
  return {'different', head}
end

local function members(packed)
  local ids = {}
  for start = 1, #packed, RECORD do
    local flags = string.byte(packed, start + RECORD - 1)
    if flags % (2 * COMING) < COMING then
      ids[string.format('%.0f', struct.unpack('<i8', packed, start))] = true
    end
  end
  return ids
end

local changes = cmsgpack.unpack(ARGV[7])
for i = 1, #changes, 3 do
  local tenant, user, packed = changes[i], changes[i + 1], changes[i + 2]
  local key = ARGV[5] .. tenant .. ':' .. user
  local before, after = members(redis.call('GET', key) or ''), members(packed)
  if packed == '' then redis.call('DEL', key) else redis.call('SET', key, packed) end
  for id in pairs(before) do
    if not after[id] then redis.call('ZREM', ARGV[6] .. tenant .. ':' .. id, user) end
  end
  for id in pairs(after) do
    if not before[id] then redis.call('ZADD', ARGV[6] .. tenant .. ':' .. id, 0, user) end
  end
end

if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3]) end
-- a replay reads again what is visible already: never lower, except in a log that began anew
local old_log, old_offset = string.match(redis.call('GET', KEYS[3]) or '', '^(%S+) (%d+)$')
local new_log, new_offset = string.match(ARGV[4], '^(%S+) (%d+)$')
if old_log ~= new_log or tonumber(old_offset) < tonumber(new_offset) then redis.call('SET', KEYS[3], ARGV[4]) end
if ARGV[8] ~= '' then redis.call('SET', KEYS[5], ARGV[8]) end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return {'ok', ''}
