// Scripts that Redis runs, each in one step. An entry is a hash: its value (v), metadata (m), time (x) and version (r). Two sorted
// sets belong to a space: its keys in the order of their bytes, and the times of the keys that expire.

/** The time by the clock of Redis, which lets entries expire. */
const NOW = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

/** Removes a few keys from the sets whose entries have expired. Needs `NOW`. */
const SWEEP = `
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 4)) do
  if redis.call('EXISTS', ARGV[1] .. key) == 0 then redis.call('ZREM', KEYS[2], key) end
  redis.call('ZREM', KEYS[3], key)
end`;

/**
 * Writes an entry: its name in Redis, its key, value, metadata, time, version. A time with `+` counts from now. Redis removes an
 * entry at once whose time has passed: it must not be in the sets, and the function returns 0.
 */
const WRITE = `${NOW}
local function write(name, key, value, metadata, time, version)
  local expires = time
  if string.sub(time, 1, 1) == '+' then
    expires = string.format('%.0f', now + tonumber(string.sub(time, 2)))
  end
  redis.call('DEL', name)
  redis.call('HSET', name, 'v', value, 'm', metadata, 'x', expires, 'r', version)
  if expires ~= '0' then redis.call('PEXPIREAT', name, expires) end
  if redis.call('EXISTS', name) == 0 then
    redis.call('ZREM', KEYS[2], key)
    redis.call('ZREM', KEYS[3], key)
    return 0
  end
  redis.call('ZADD', KEYS[2], 0, key)
  if expires == '0' then redis.call('ZREM', KEYS[3], key)
  else redis.call('ZADD', KEYS[3], expires, key) end
  return 1
end`;

const REMOVE = `
local function remove(name, key)
  redis.call('DEL', name)
  redis.call('ZREM', KEYS[2], key)
  redis.call('ZREM', KEYS[3], key)
end`;

/** ARGV: prefix of names, key, expected version (`any`, `none`), value, metadata, time, version. */
export const PUT = `${WRITE}${SWEEP}
local found = redis.call('HGET', KEYS[1], 'r')
if ARGV[3] == 'none' then if found then return 0 end
elseif ARGV[3] ~= 'any' and found ~= ARGV[3] then return 0 end
write(KEYS[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6], ARGV[7])
return 1`;

/** ARGV: prefix of names, key, expected version (`any`). */
export const DELETE = `${REMOVE}
local found = redis.call('HGET', KEYS[1], 'r')
if not found or (ARGV[3] ~= 'any' and found ~= ARGV[3]) then return 0 end
remove(KEYS[1], ARGV[2])
return 1`;

/** KEYS[4]: the new entry. ARGV: prefix of names, key, expected version, new key, value, metadata, time, version. */
export const MOVE = `${WRITE}${REMOVE}
if redis.call('HGET', KEYS[1], 'r') ~= ARGV[3] then return 0 end
remove(KEYS[1], ARGV[2])
write(KEYS[4], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 1`;

/** ARGV: prefix of names, key, number to add, time of a new entry, version. */
export const ADD = `${WRITE}${SWEEP}
if redis.call('EXISTS', KEYS[1]) == 0
  and write(KEYS[1], ARGV[2], '0', '', ARGV[4], ARGV[5]) == 0 then return tonumber(ARGV[3]) end
local sum = redis.call('HINCRBY', KEYS[1], 'v', ARGV[3])
redis.call('HSET', KEYS[1], 'r', ARGV[5])
return sum`;

/**
 * ARGV: prefix of names, first and last key in the words of ZRANGEBYLEX, most entries, the field of values (`v`; another name
 * leaves the values out).
 */
export const LIST = `
local out = {}
local first, most = ARGV[2], tonumber(ARGV[4])
while #out < most do
  local keys = redis.call('ZRANGEBYLEX', KEYS[2], first, ARGV[3], 'LIMIT', 0, most)
  for _, key in ipairs(keys) do
    local entry = redis.call('HMGET', ARGV[1] .. key, ARGV[5], 'm', 'x', 'r')
    if not entry[4] then redis.call('ZREM', KEYS[2], key)
    elseif #out < most then out[#out + 1] = { key, entry[1], entry[2], entry[3], entry[4] } end
  end
  if #keys < most then break end
  first = '(' .. keys[#keys]
end
return out`;
