-- One batch of one partition, all or nothing: compare-and-set on the watermark, then the
-- dedup marks and the table entries. Step Apply of docs/spec/StreamLoop.tla.
--
-- KEYS: watermark, one hash per table, then the dedup key prefixes that the marks name.
-- ARGV: base, last, number of tables, lifetime of marks (ms);
--       per table: number of sets, number of deletes, (id, value)*, id*;
--       per run of marks: prefixes of their own generation, of the one before and of the one after
--       (0: not asked), number of marks, (bucket, field, coordinate)*.
--       A bucket that begins with "+" is given its lifetime.
-- Answer: {applied 0|1, watermark found, the numbers of the marks that are duplicates}.
local base, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local wm = tonumber(redis.call('GET', KEYS[1]) or '-1')
if wm ~= base then
  return {0, wm, {}}
end
local tables, life = tonumber(ARGV[3]), ARGV[4]
local at = 5
for t = 1, tables do
  local hash, sets, dels = KEYS[1 + t], tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  -- unpack is bounded by Lua's stack: 500 entries at a time.
  while sets > 0 do
    local n = math.min(sets, 500)
    redis.call('HSET', hash, unpack(ARGV, at, at + 2 * n - 1))
    at = at + 2 * n
    sets = sets - n
  end
  while dels > 0 do
    local n = math.min(dels, 500)
    redis.call('HDEL', hash, unpack(ARGV, at, at + n - 1))
    at = at + n
    dels = dels - n
  end
end
local call, args, byte, sub = redis.call, #ARGV, string.byte, string.sub
local duplicates, m = {}, 0
while at < args do
  local current, previous, after = KEYS[tonumber(ARGV[at])], KEYS[tonumber(ARGV[at + 1])], KEYS[tonumber(ARGV[at + 2])]
  local stop = at + 3 * ARGV[at + 3] + 3
  for i = at + 4, stop, 3 do
    m = m + 1
    local bucket, field, coord = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local expires = byte(bucket) == 43
    if expires then
      bucket = sub(bucket, 2)
    end
    local known = call('HGET', previous .. bucket, field)
    if not known and after then
      known = call('HGET', after .. bucket, field)
    end
    if not known then
      local key = current .. bucket
      if call('HSETNX', key, field, coord) == 0 then
        known = call('HGET', key, field)
      elseif expires then
        call('PEXPIRE', key, life)
      end
    end
    if known and known ~= coord then
      duplicates[#duplicates + 1] = m
    end
  end
  at = stop + 1
end
if last > base then
  call('SET', KEYS[1], ARGV[2])
end
return {1, wm, duplicates}
