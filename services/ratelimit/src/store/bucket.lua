-- What the scripts share. Before this text comes one line, `local RUN_ID = '…'`: the server's own id is part of every
-- script, so its hash is new after every restart and failover. A server that answers NOSCRIPT may have lost counters.
--
-- A bucket is one packed string: a sliding window of cells, own charges and those of others apart.
--   at             newest moment this bucket has seen, ms; it never goes back
--   head           number of the newest cell: floor(at / cell_ms)
--   own, others    sums of all cells
--   own_cell, others_cell     the newest cells
--   n              cells kept, the newest included
--   layout         of this string; a string of another layout counts as none
--   told           whether Meta or an operator said anything of it yet, or a reservation held; then it has `state`:
--     closed_until              nobody calls before; after it one probe at a time until Meta lets a call through
--     probe_until               a probe is under way
--     gate_until, gate          newest percent of CPU or wall time, and how long it counts
--     observed_until, observed  newest percent of the ceiling that Meta reported, and how long it counts
--     frozen_until              an operator lets only safety through before
--     closed_code, closures     Meta's code of the last closing, and how many closings without a good answer between
--     holds                     how many reservations hold something of it
--   own_older, others_older   the cells before the newest, oldest first; the others' are left out while all are zero
--   per reservation           its id, when it lapses, and the points that it has not used yet
-- No sum is ever negative, and a sum is always that of its cells. What is held is in no cell until it is used.
--
-- A charge into the cell that was newest before changes the first bytes alone, so most decisions neither read nor write
-- the older cells (`own_older` is nil then).

local COUNTS, STATE, HOLD = '<ddddI4I4I2I2I2', '<dddddI4I2I2I2I2', '<c8dI4'
local COUNTS_BYTES, HEADER_BYTES, HOLD_BYTES = 46, 98, 20
-- For commands: a number would be written out with seventeen digits first.
local FIRST, LAST_OF_HEADER, FIRST_CELL, LAST = '0', '97', '98', '-1'
local LAYOUT = 3
local CELL_MAX = 4294967295
local BEHIND_MAX_MS = 2000
local EXPIRY_SLACK_MS = 86400000

local function zeros(cells)
  return string.rep('\0', 4 * cells)
end

local function redis_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The replica's monotonic estimate, of which `not_after` is a second more, bounds the server's clock on both sides. A
-- jump ahead then empties nothing. After a jump back time goes on: otherwise all charges would gather in one cell that
-- is old already, and would leave together when the clock is set right, long before Meta forgets them.
local function bounded_ms(not_after, time)
  return math.max(math.min(time, not_after), not_after - BEHIND_MAX_MS)
end

-- The epoch key holds `epoch:run_id:lost_at:layout`; lost_at is 0, or when the counters before it were found lost.
local function epoch_text(epoch, lost_at)
  return string.format('%.0f:%s:%.0f:%d', epoch, RUN_ID, lost_at, LAYOUT)
end

local function read_epoch(key)
  local value = redis.call('GET', key) or ''
  local epoch, run_id, lost_at, layout = string.match(value, '^(%d+):(%w*):(%d+):(%d+)$')
  if run_id ~= RUN_ID or tonumber(layout) ~= LAYOUT then return nil, value end
  return tonumber(epoch), tonumber(lost_at)
end

local function state_of(raw)
  local s = {
    closed_until = 0, probe_until = 0, gate_until = 0, observed_until = 0, frozen_until = 0,
    closed_code = 0, closures = 0, gate = 0, observed = 0, holds = 0,
  }
  if raw then
    s.closed_until, s.probe_until, s.gate_until, s.observed_until, s.frozen_until, s.closed_code, s.closures, s.gate,
      s.observed, s.holds = struct.unpack(STATE, raw, COUNTS_BYTES + 1)
  end
  return s
end

local function cells_of(packed)
  local cells = { struct.unpack('<' .. string.rep('I4', #packed / 4), packed) }
  cells[#cells] = nil -- where the next would begin
  return cells
end

local function packed_cells(cells)
  for i, cell in ipairs(cells) do cells[i] = struct.pack('<I4', cell) end
  return table.concat(cells)
end

-- Reads the older cells too. Settings may ask for more cells than were kept; fewer are never kept, for the older ones
-- still count.
local function with_cells(b, n)
  if b.own_older then return end
  local raw = redis.call('GETRANGE', b.key, FIRST_CELL, LAST)
  if b.held_bytes > 0 then raw = string.sub(raw, 1, -b.held_bytes - 1) end
  local bytes = 4 * (b.n - 1)
  local more = zeros(math.max(n - b.n, 0))
  b.own_older = more .. string.sub(raw, 1, bytes)
  b.others_older = #raw > bytes and more .. string.sub(raw, bytes + 1) or zeros(math.max(b.n, n) - 1)
  b.n = math.max(b.n, n)
end

-- Goes on to a newer head: the newest cell becomes one of the older, and as many of these leave.
local function go_on(b, head)
  local left = head - b.head
  local function without_oldest(older, newest, sum)
    if left >= b.n then return zeros(b.n - 1), 0 end
    local cells = older .. struct.pack('<I4', newest)
    for _, gone in ipairs(cells_of(string.sub(cells, 1, 4 * left))) do sum = sum - gone end
    return string.sub(cells, 4 * left + 1) .. zeros(left - 1), sum
  end
  b.own_older, b.own = without_oldest(b.own_older, b.own_cell, b.own)
  b.others_older, b.others = without_oldest(b.others_older, b.others_cell, b.others)
  b.head, b.own_cell, b.others_cell = head, 0, 0
end

-- What reservations hold of a bucket and has not lapsed, and the sum of it.
local function read_holds(b)
  b.held_bytes = HOLD_BYTES * b.state.holds
  local raw = redis.call('GETRANGE', b.key, -b.held_bytes, LAST)
  for place = 1, b.held_bytes, HOLD_BYTES do
    local id, until_ms, points = struct.unpack(HOLD, raw, place)
    if until_ms > b.at then
      b.holds[#b.holds + 1] = { id = id, until_ms = until_ms, points = points }
      b.held = b.held + points
    end
  end
end

-- The bucket as it is at `time`, or at the newest moment it has seen where that is later.
local function read_bucket(key, time, cell_ms, n)
  local raw = redis.call('GETRANGE', key, FIRST, LAST_OF_HEADER)
  local at, head, own, others, own_cell, others_cell, kept, layout, told
  if #raw == HEADER_BYTES then
    at, head, own, others, own_cell, others_cell, kept, layout, told = struct.unpack(COUNTS, raw)
  end
  if layout ~= LAYOUT then
    return {
      key = key, cell_ms = cell_ms, n = n, at = time, head = math.floor(time / cell_ms), own = 0, others = 0,
      own_cell = 0, others_cell = 0, own_older = zeros(n - 1), others_older = zeros(n - 1), holds = {}, held = 0,
      held_bytes = 0,
    }
  end
  local b = {
    key = key, cell_ms = cell_ms, n = kept, at = at, head = head, own = own, others = others, own_cell = own_cell,
    others_cell = others_cell, state = told == 1 and state_of(raw) or nil, own_older = nil, others_older = nil,
    holds = {}, held = 0, held_bytes = 0,
  }
  if time > at then b.at = time end
  if b.state and b.state.holds > 0 then read_holds(b) end
  local newest = math.floor(b.at / cell_ms)
  if n > kept or newest > head then with_cells(b, n) end
  if newest > head then go_on(b, newest) end
  return b
end

local function packed_counts(b)
  return struct.pack(COUNTS, b.at, b.head, b.own, b.others, b.own_cell, b.others_cell, b.n, LAYOUT, b.state and 1 or 0)
end

local function packed_state(s)
  return struct.pack(STATE, s.closed_until, s.probe_until, s.gate_until, s.observed_until, s.frozen_until, s.closed_code,
    s.closures, s.gate, s.observed, s.holds)
end

local function packed_holds(holds)
  local packed = {}
  for i, hold in ipairs(holds) do packed[i] = struct.pack(HOLD, hold.id, hold.until_ms, hold.points) end
  return table.concat(packed)
end

-- Expiry only tidies up, and goes by the server's own clock, which nothing bounds: so it comes a day late, and a jump
-- ahead by less deletes no window.
local function write_bucket(b)
  with_cells(b, b.n)
  local s = b.state or state_of()
  s.holds = #b.holds
  local live = math.max(b.n * b.cell_ms, s.closed_until - b.at, s.gate_until - b.at, s.frozen_until - b.at)
  local others = b.others > b.others_cell and b.others_older or ''
  redis.call('SET', b.key, packed_counts(b) .. packed_state(s) .. b.own_older .. others .. packed_holds(b.holds), 'PX',
    string.format('%.0f', live + EXPIRY_SLACK_MS))
end

-- As write_bucket, where nothing but the counts and what is held changed. The expiry stays as it was, less than a cell
-- before. Holds that lapsed stay behind and are left out by every reader, until the whole is written again.
local function write_counts(b)
  if b.own_older or b.holds_changed then return write_bucket(b) end
  redis.call('SETRANGE', b.key, FIRST, packed_counts(b))
end

local function charge_own(b, cost)
  local grown = math.min(b.own_cell + cost, CELL_MAX)
  b.own, b.own_cell = b.own + grown - b.own_cell, grown
end

local function charge_others(b, cost)
  local grown = math.min(b.others_cell + cost, CELL_MAX)
  b.others, b.others_cell = b.others + grown - b.others_cell, grown
end

-- What a reservation holds of a bucket, and its place.
local function hold_of(b, id)
  for place, hold in ipairs(b.holds) do
    if hold.id == id then return hold, place end
  end
end

-- What reservations but this one hold.
local function held_by_others(b, id)
  local hold = hold_of(b, id)
  return b.held - (hold and hold.points or 0)
end

-- What is charged under a reservation is held no longer.
local function use_hold(b, id, cost)
  local hold, place = hold_of(b, id)
  if not hold then return end
  local used = math.min(hold.points, cost)
  hold.points, b.held, b.holds_changed = hold.points - used, b.held - used, true
  if hold.points == 0 then table.remove(b.holds, place) end
end

-- What reservations hold, all that `counted` says, and will not at a moment to come.
local function lapsed_by(b, moment, counted)
  local points = 0
  for _, hold in ipairs(b.holds) do
    if counted(hold) and hold.until_ms <= moment then points = points + hold.points end
  end
  return points
end

-- Ms until enough old cells have left, and enough of the holds that `counted` says have lapsed, for `excess` to be gone.
-- A cell leaves when n newer ones have begun.
local function until_gone(b, excess, counted)
  with_cells(b, b.n)
  local own, others = cells_of(b.own_older), cells_of(b.others_older)
  for i = 1, b.n - 1 do
    local moment = (b.head + i) * b.cell_ms
    excess = excess - own[i] - others[i]
    if excess - lapsed_by(b, moment, counted) <= 0 then return moment - b.at end
  end
  -- By then the window is empty; what is still in the way is held.
  excess = excess - b.own_cell - b.others_cell
  local gone, enough = (b.head + b.n) * b.cell_ms, nil
  for _, hold in ipairs(b.holds) do
    local lapses = excess <= lapsed_by(b, hold.until_ms, counted)
    if lapses and (not enough or hold.until_ms < enough) then enough = hold.until_ms end
  end
  return (excess > 0 and enough and math.max(gone, enough) or gone) - b.at
end
