-- Takes each bucket's cost from all of them, or from none: only below the line that says so is anything written.
-- Any window of the length that a bucket counts lies inside the cells it keeps, so none holds more than the ceiling.
--
-- KEYS[1] the app's epoch, KEYS[2..] the buckets; all carry {app:<id>}, so one slot.
-- ARGV: not_after, class (1 safety .. 5 backfill), the gate percent at which this class stops, the epoch under which
--       the costs were written down, then per bucket: cost, cap, pace, lost_cap, cell_ms, cells.
--   cap       what the class may fill of the ceiling; -1 where there is no ceiling
--   pace      what the class may put into one cell; -1 where it is not paced
--   lost_cap  what safety may fill within one window of a loss of the counters
-- Answers {1, epoch, time, issued, probing, then per bucket its newest cell and its sum after the charge}
--      or {0, epoch, time, wait_ms, index of the binding bucket, reason}: the numbers of WaitReason
--      or {-1} where the counters are not known to be whole, or those of another epoch.
local CEILING, PACE, CLOSED, GATE, LOST, NEVER = 1, 2, 3, 4, 5, 6
local SAFETY, INTERACTIVE = 1, 2
local PROBE_MS, PROBE_GRACE_MS = 30000, 10000

local epoch, lost_at = read_epoch(KEYS[1])
if epoch ~= tonumber(ARGV[4]) then return { -1 } end

local now = bounded_ms(ARGV[1])
local class, gate_stop = tonumber(ARGV[2]), tonumber(ARGV[3])

-- Ms until enough old cells have left for `excess` to be gone. A cell leaves when n newer ones have begun.
local function until_gone(b, excess)
  local own, others = cells_of(b.own_cells, 1, b.n), cells_of(b.others_cells, 1, b.n)
  for i = 1, b.n do
    excess = excess - own[i] - others[i]
    if excess <= 0 then return (b.head + i) * b.cell_ms - b.at end
  end
  return b.n * b.cell_ms
end

-- Ms until a bucket that Meta closed takes this class: when it opens one call goes first, of a class that a person
-- waits for if there is one.
local function until_open(b)
  if b.closures == 0 then return 0 end
  local opens = b.closed_until
  if class > INTERACTIVE then opens = opens + PROBE_GRACE_MS end
  return math.max(opens, b.probe_until) - b.at
end

local function wait_of(b, cost, cap, pace, lost_cap)
  local lost_until = lost_at + b.n * b.cell_ms
  if lost_at > 0 and b.at < lost_until then
    if class > SAFETY then return lost_until - b.at, LOST end
    if cap >= 0 then cap = math.min(cap, lost_cap) end
  end
  if cap >= 0 and cost > cap then return b.n * b.cell_ms, NEVER end
  local closed = until_open(b)
  if closed > 0 then return closed, CLOSED end
  if b.at < b.gate_until and b.gate >= gate_stop then return b.gate_until - b.at, GATE end
  local excess = b.own + b.others + cost - cap
  if cap >= 0 and excess > 0 then return until_gone(b, excess), CEILING end
  local cell = newest_cell(b.own_cells)
  if pace >= 0 and cell > 0 and cell + cost > pace then return (b.head + 1) * b.cell_ms - b.at, PACE end
  return 0, 0
end

local buckets = {}
local wait, binding, reason = 0, 0, 0
for i = 1, #KEYS - 1 do
  local a = 5 + 6 * (i - 1)
  local b = read_bucket(KEYS[i + 1], now, tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]))
  b.cost = tonumber(ARGV[a])
  local ms, why = wait_of(b, b.cost, tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
  if ms > wait then wait, binding, reason = ms, i, why end
  buckets[i] = b
end
if wait > 0 then return { 0, epoch, redis_ms(), math.ceil(wait), binding, reason } end

-- Admitted: from here on everything is written.
local answer = { 1, epoch, redis_ms(), now, 0 }
for i, b in ipairs(buckets) do
  charge_own(b, b.cost)
  if b.closures > 0 then b.probe_until, answer[5] = b.at + PROBE_MS, 1 end
  write_bucket(b)
  answer[4 + 2 * i], answer[5 + 2 * i] = b.head, b.own + b.others
end
return answer
