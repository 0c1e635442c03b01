-- What the scripts share. Before this text comes one line, `local RUN_ID = '…'`: the server's own id is part of every
-- script, so its hash is new after every restart and failover. A server that answers NOSCRIPT may have lost counters.
--
-- A bucket is one packed string: a sliding window of cells, own charges and those of others apart, oldest cell first.
--   at             newest moment this bucket has seen, ms; it never goes back
--   head           number of the newest cell: floor(at / cell_ms)
--   own, others    sums of the cells
--   closed_until   nobody calls before; after it one probe at a time until Meta lets a call through
--   probe_until    a probe is under way
--   gate_until, gate          newest percent of CPU or wall time, and how long it counts
--   observed_until, observed  newest percent of the ceiling that Meta reported, and how long it counts
--   closed_code, closures     Meta's code of the last closing, and how many closings without a good answer between
--   n              cells kept; the others' cells are left out while they are all zero
-- No sum is ever negative, and a sum is always that of its cells.

local HEADER = '<ddddddddI4I2I2I2I2'
local HEADER_BYTES = struct.size(HEADER)
local CELL_MAX = 4294967295
local BEHIND_MAX_MS = 2000
local EXPIRY_SLACK_MS = 86400000

local function zeros(n)
  return string.rep('\0', 4 * n)
end

local function redis_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The replica's monotonic estimate, of which `not_after` is a second more, bounds the server's clock on both sides. A
-- jump ahead then empties nothing. After a jump back time goes on: otherwise all charges would gather in one cell that
-- is old already, and would leave together when the clock is set right, long before Meta forgets them.
local function bounded_ms(not_after)
  not_after = tonumber(not_after)
  return math.max(math.min(redis_ms(), not_after), not_after - BEHIND_MAX_MS)
end

-- The epoch key holds `epoch:run_id:lost_at`; lost_at is 0, or when the counters before it were found lost.
local function read_epoch(key)
  local value = redis.call('GET', key) or ''
  local epoch, run_id, lost_at = string.match(value, '^(%d+):(%w*):(%d+)$')
  if run_id ~= RUN_ID then return nil, value end
  return tonumber(epoch), tonumber(lost_at)
end

local function cells_of(packed, from, to)
  if to < from then return {} end
  return { struct.unpack('<' .. string.rep('I4', to - from + 1), packed, 4 * (from - 1) + 1) }
end

-- Drops the k oldest cells and appends k empty ones. Answers the cells and what was dropped.
local function advance(packed, n, k)
  if k >= n then return zeros(n), nil end
  local dropped, cells = 0, cells_of(packed, 1, k)
  for i = 1, k do dropped = dropped + cells[i] end
  return string.sub(packed, 4 * k + 1) .. zeros(k), dropped
end

local function new_bucket(key, time, cell_ms, n)
  return {
    key = key, cell_ms = cell_ms, n = n, at = time, head = math.floor(time / cell_ms), own = 0, others = 0,
    closed_until = 0, probe_until = 0, gate_until = 0, observed_until = 0,
    closed_code = 0, closures = 0, gate = 0, observed = 0, own_cells = zeros(n), others_cells = zeros(n),
  }
end

-- The bucket as it is at `time`, or at the newest moment it has seen where that is later.
local function read_bucket(key, time, cell_ms, n)
  local raw = redis.call('GET', key)
  if not raw then return new_bucket(key, time, cell_ms, n) end
  local b = { key = key, cell_ms = cell_ms }
  local stored
  b.at, b.head, b.own, b.others, b.closed_until, b.probe_until, b.gate_until, b.observed_until,
    b.closed_code, b.closures, b.gate, b.observed, stored = struct.unpack(HEADER, raw)
  b.own_cells = string.sub(raw, HEADER_BYTES + 1, HEADER_BYTES + 4 * stored)
  b.others_cells = string.sub(raw, HEADER_BYTES + 4 * stored + 1)
  if b.others_cells == '' then b.others_cells = zeros(stored) end
  -- Settings may ask for more cells than were kept; fewer are never kept, for the older ones still count.
  b.n = math.max(n, stored)
  b.own_cells = zeros(b.n - stored) .. b.own_cells
  b.others_cells = zeros(b.n - stored) .. b.others_cells

  b.at = math.max(b.at, time)
  local head = math.floor(b.at / cell_ms)
  if head > b.head then
    local dropped
    b.own_cells, dropped = advance(b.own_cells, b.n, head - b.head)
    b.own = dropped and b.own - dropped or 0
    b.others_cells, dropped = advance(b.others_cells, b.n, head - b.head)
    b.others = dropped and b.others - dropped or 0
    b.head = head
  end
  return b
end

-- Expiry only tidies up, and goes by the server's own clock, which nothing bounds: so it comes a day late, and a jump
-- ahead by less deletes no window.
local function write_bucket(b)
  local live = math.max(b.n * b.cell_ms, b.closed_until - b.at, b.gate_until - b.at) + EXPIRY_SLACK_MS
  redis.call('SET', b.key, struct.pack(HEADER, b.at, b.head, b.own, b.others, b.closed_until, b.probe_until,
    b.gate_until, b.observed_until, b.closed_code, b.closures, b.gate, b.observed, b.n)
    .. b.own_cells .. (b.others > 0 and b.others_cells or ''), 'PX', string.format('%.0f', live))
end

local function newest_cell(packed)
  return (struct.unpack('<I4', packed, #packed - 3))
end

-- Puts a charge into the newest cell. Answers the cells and what they grew by.
local function charge(packed, cost)
  local cell = newest_cell(packed)
  local grown = math.min(cell + cost, CELL_MAX)
  return string.sub(packed, 1, #packed - 4) .. struct.pack('<I4', grown), grown - cell
end

local function charge_own(b, cost)
  local grown
  b.own_cells, grown = charge(b.own_cells, cost)
  b.own = b.own + grown
end

local function charge_others(b, cost)
  local grown
  b.others_cells, grown = charge(b.others_cells, cost)
  b.others = b.others + grown
end
