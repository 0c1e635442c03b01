-- Plain GCRA over all keys, all or none: the yardstick for what an exact window costs. It is no goal, because a sliding
-- window may see up to twice the ceiling.
--
-- KEYS: a string each, the moment in microseconds at which what was taken is given back.
-- ARGV: per key the cost, the microseconds of one unit, and those of a full burst.
-- Answers 0, or the microseconds to wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('MGET', unpack(KEYS))
local ends, wait = {}, 0
for i = 1, #KEYS do
  local cost, unit, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  ends[i] = math.max(tonumber(kept[i] or 0), now) + cost * unit
  wait = math.max(wait, ends[i] - burst - now)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', ends[i]), 'PX', math.ceil((ends[i] - now) / 1000))
end
return 0
