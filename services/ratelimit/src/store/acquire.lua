-- Decides demands one after the other. Each takes its costs from all its buckets, or from none: only below the line that
-- says so is anything charged. Any window of the length that a bucket counts lies inside the cells it keeps, so none holds
-- more than the ceiling.
--
-- KEYS[1] the app's epoch, KEYS[2..] the buckets, each once; all carry {app:<id>}, so one slot.
-- ARGV[1], packed, each number eight bytes, since reading numbers from text is what a script spends most time on:
--       not_after, the epoch under which the costs were written down, how many demands,
--       then per bucket: cell_ms, cells, lost_cap,
--       then per demand: class (1 safety .. 5 backfill), the gate percent at which this class stops, the id of the
--       reservation that it uses (zeros: none), how many charges,
--       and per charge: number of the bucket, cost, cap, pace.
--   cap       what the class may fill of the ceiling; -1 where there is no ceiling
--   pace      what the class may put into one cell; -1 where it is not paced
--   lost_cap  what safety may fill within one window of a loss of the counters
-- Answers {time, the moment of the charges, then per demand
--            {1, probing, then per charge the bucket's newest cell and its sum after the charge}
--         or {0, wait_ms, the number of the binding charge, reason}}: reasons are the numbers of WaitReason;
--      or {-1} where the counters are not known to be whole, or those of another epoch.
local CEILING, PACE, CLOSED, GATE, LOST, NEVER, FROZEN = 1, 2, 3, 4, 5, 6, 7
local SAFETY, INTERACTIVE = 1, 2
local PROBE_MS, PROBE_GRACE_MS = 30000, 10000

local terms = ARGV[1]
local not_after, written_under, demands, place = struct.unpack('<i8i8i8', terms)
local epoch, lost_at = read_epoch(KEYS[1])
if epoch ~= written_under then return { -1 } end

local time = redis_ms()
local now = bounded_ms(not_after, time)

-- Ms until a bucket that Meta closed takes this class: when it opens one call goes first, of a class that a person
-- waits for if there is one.
local function until_open(s, at, class)
  if s.closures == 0 then return 0 end
  local opens = s.closed_until
  if class > INTERACTIVE then opens = opens + PROBE_GRACE_MS end
  return math.max(opens, s.probe_until) - at
end

-- What was said of a bucket, and is no matter of counting.
local function told_to_wait(s, at, class, gate_stop)
  local closed = until_open(s, at, class)
  if closed > 0 then return closed, CLOSED end
  if class > SAFETY and at < s.frozen_until then return s.frozen_until - at, FROZEN end
  if at < s.gate_until and s.gate >= gate_stop then return s.gate_until - at, GATE end
  return 0, 0
end

local function wait_of(b, class, gate_stop, reservation, cost, cap, pace)
  if lost_at > 0 and b.at < lost_at + b.n * b.cell_ms then
    if class > SAFETY then return lost_at + b.n * b.cell_ms - b.at, LOST end
    if cap >= 0 then cap = math.min(cap, b.lost_cap) end
  end
  if cap >= 0 and cost > cap then return b.n * b.cell_ms, NEVER end
  if b.state then
    local ms, why = told_to_wait(b.state, b.at, class, gate_stop)
    if ms > 0 then return ms, why end
  end
  if cap >= 0 then
    -- What has to stop now waits for no plan.
    local held = class > SAFETY and b.held > 0 and held_by_others(b, reservation) or 0
    local excess = b.own + b.others + held + cost - cap
    if excess > 0 then
      return until_gone(b, excess, function(hold) return class > SAFETY and hold.id ~= reservation end), CEILING
    end
  end
  if pace >= 0 and b.own_cell > 0 and b.own_cell + cost > pace then return (b.head + 1) * b.cell_ms - b.at, PACE end
  return 0, 0
end

local buckets = {}
for i = 2, #KEYS do
  local cell_ms, cells, lost_cap
  cell_ms, cells, lost_cap, place = struct.unpack('<i8i8i8', terms, place)
  local b = read_bucket(KEYS[i], now, cell_ms, cells)
  b.lost_cap = lost_cap
  buckets[i - 1] = b
end

-- The charges of one demand, and the longest wait that any of them asks for.
local function look_at(class, gate_stop, reservation, count)
  local charges, wait, binding, reason = {}, 0, 0, 0
  for i = 1, count do
    local number, cost, cap, pace
    number, cost, cap, pace, place = struct.unpack('<i8i8i8i8', terms, place)
    local b = buckets[number]
    local ms, why = wait_of(b, class, gate_stop, reservation, cost, cap, pace)
    if ms > wait then wait, binding, reason = ms, i, why end
    charges[2 * i - 1], charges[2 * i] = b, cost
  end
  return charges, wait, binding, reason
end

local function charge_all(charges, reservation)
  local answer = { 1, 0 }
  for i = 1, #charges, 2 do
    local b = charges[i]
    charge_own(b, charges[i + 1])
    if b.held > 0 then use_hold(b, reservation, charges[i + 1]) end
    b.charged = true
    if b.state and b.state.closures > 0 then
      b.state.probe_until, answer[2] = b.at + PROBE_MS, 1
      with_cells(b, b.n)
    end
    answer[i + 2], answer[i + 3] = b.head, b.own + b.others
  end
  return answer
end

local answer = { time, now }
for demand = 1, demands do
  local class, gate_stop, reservation, count
  class, gate_stop, reservation, count, place = struct.unpack('<i8i8c8i8', terms, place)
  local charges, wait, binding, reason = look_at(class, gate_stop, reservation, count)
  -- Admitted: here and nowhere else something is charged.
  answer[demand + 2] = wait > 0 and { 0, math.ceil(wait), binding, reason } or charge_all(charges, reservation)
end
for _, b in ipairs(buckets) do
  if b.charged then write_counts(b) end
end
return answer
