-- Holds points for a reservation in all its buckets, or in none. What is held is kept from everybody but safety until it
-- is used under the reservation, or lapses; it is no charge.
--
-- KEYS[1] the app's epoch, KEYS[2..] the buckets; all carry {app:<id>}, so one slot.
-- ARGV[1], packed, numbers of eight bytes: not_after, the id, when it lapses,
--       then per bucket: cell_ms, cells, points, cap (what the class that asks may fill of the ceiling).
-- What was held under the same id is replaced, or ended where this is refused, so that nobody is ever held up by what is
-- held for itself; 0 points only end it.
-- Answers {1}; or {0, wait_ms, the number of the binding bucket, reason}, the reasons as in acquire.lua;
--      or {-1} where the counters are not known to be whole.
local CEILING, LOST, NEVER = 1, 5, 6
local HOLDS_MAX = 64

local terms = ARGV[1]
local not_after, id, until_ms, place = struct.unpack('<i8c8i8', terms)
local epoch, lost_at = read_epoch(KEYS[1])
if not epoch then return { -1 } end
local now = bounded_ms(not_after, redis_ms())

local function wait_of(b, points, cap)
  if points == 0 then return 0, 0 end
  if points > cap then return b.n * b.cell_ms, NEVER end
  if lost_at > 0 and b.at < lost_at + b.n * b.cell_ms then return lost_at + b.n * b.cell_ms - b.at, LOST end
  local excess = b.own + b.others + held_by_others(b, id) + points - cap
  if excess > 0 then return until_gone(b, excess, function(hold) return hold.id ~= id end), CEILING end
  if #b.holds >= HOLDS_MAX and not hold_of(b, id) then
    local first = b.holds[1].until_ms
    for _, hold in ipairs(b.holds) do first = math.min(first, hold.until_ms) end
    return first - b.at, CEILING
  end
  return 0, 0
end

local buckets, wait, binding, reason = {}, 0, 0, 0
for i = 2, #KEYS do
  local cell_ms, cells, points, cap
  cell_ms, cells, points, cap, place = struct.unpack('<i8i8i8i8', terms, place)
  local b = read_bucket(KEYS[i], now, cell_ms, cells)
  b.points = points
  local ms, why = wait_of(b, points, cap)
  if ms > wait then wait, binding, reason = ms, i - 1, why end
  buckets[i - 1] = b
end
for _, b in ipairs(buckets) do
  local hold, at = hold_of(b, id)
  local holds = wait == 0 and b.points > 0
  if hold then table.remove(b.holds, at) end
  if holds then b.holds[#b.holds + 1] = { id = id, until_ms = until_ms, points = b.points } end
  if hold or holds then
    b.state = b.state or state_of()
    write_bucket(b)
  end
end
if wait > 0 then return { 0, math.ceil(wait), binding, reason } end
return { 1 }
