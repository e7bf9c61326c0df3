-- Put before the scripts that tell. A delivery is tried for a day, at most an hour apart; what was told under a mark is known for 60 days;
-- so many that could not be delivered are kept.
local DELIVERY_MS, LONGEST_RETRY_MS, MARK_MS, MOST_UNDELIVERED = 86400000, 3600000, 5184000000, 200
local function delivery_key(id) return P .. 'delivery:' .. id end
