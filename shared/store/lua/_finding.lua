-- Put before the scripts that look for mailboxes of an import: what is looked for, and where what was found is kept for a while.

-- The kept sets in which a mailbox must be: each is scored by row.
local function sets_of(import, state, code, wave)
  local sets = {}
  if state ~= '' then sets[#sets + 1] = import .. ':in:' .. state end
  if code ~= '' then sets[#sets + 1] = import .. ':code:' .. code end
  if wave ~= '' then sets[#sets + 1] = import .. ':of:' .. wave end
  table.sort(sets, function(a, b) return redis.call('ZCARD', a) < redis.call('ZCARD', b) end)
  return sets
end

local function in_all(sets, m, first)
  for n = first, #sets do
    if not redis.call('ZSCORE', sets[n], m) then return false end
  end
  return true
end

-- The states of a mailbox by their names.
local function states_by_name()
  local known, states = {}, {}
  for _, edges in pairs(MACHINES.mailbox) do
    for before, after in pairs(edges) do known[before], known[after] = true, true end
  end
  for name in pairs(known) do states[#states + 1] = name end
  table.sort(states)
  return states
end

local function login_side(order) return string.match(order, '^(%l+)_login$') end

-- What was found of a search stands there, in its order, with the row (ROW_DIGITS) before each id; `:at` says how far it was looked for.
local ROW_DIGITS = 10
local function found_key(import, ...) return import .. ':found:' .. redis.sha1hex(table.concat({...}, '\0')) end
