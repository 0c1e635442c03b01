-- Decides one request of an Envoy. It takes its costs from all its buckets, or from none.
--
-- KEYS: the buckets, each once; all carry {rls:<domain>}, so one slot. ARGV: not_after, then per bucket: cell_ms, cells;
-- then per charge: number of the bucket, cost, limit. Answers {time, then per charge: whether it has room, how much is
-- left of the limit, and the ms until it has room or, where it has, until the bucket is empty}.

-- A counter of one of very many values, such as an address, is not worth its memory for a day: see write_bucket.
EXPIRY_SLACK_MS = 600000

local time = redis_ms()
local now = bounded_ms(tonumber(ARGV[1]), time)

local buckets = {}
for i = 1, #KEYS do
  local b = read_bucket(KEYS[i], now, tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]))
  b.asked = 0
  buckets[i] = b
end

local charges, fits = {}, true
for a = 2 * #KEYS + 2, #ARGV, 3 do
  local b, cost, limit = buckets[tonumber(ARGV[a])], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local excess = b.own + b.asked + cost - limit
  if excess <= 0 then b.asked = b.asked + cost else fits = false end
  charges[#charges + 1] = { bucket = b, excess = excess, limit = limit }
end

if fits then
  for _, b in ipairs(buckets) do
    if b.asked > 0 then
      charge_own(b, b.asked)
      write_counts(b)
    end
  end
end

local answer = { time }
for _, charge in ipairs(charges) do
  local b = charge.bucket
  local has_room = charge.excess <= 0
  answer[#answer + 1] = has_room and 1 or 0
  answer[#answer + 1] = math.max(charge.limit - b.own, 0)
  answer[#answer + 1] = math.ceil(until_gone(b, has_room and b.own or charge.excess))
end
return answer
