#!lua flags=allow-oom
-- lane_purge.lua - cancels jobs of a lane that wait, at most 50 in a call. ARGV: name, why, the same as JSON
-- Reply: {R_OK, cancelled, whether there are more}, {R_NONE}
-- with ends.lua, take.lua, batches.lua
local l, MOST, n = M.lane(A[1]), 50, 0
if not l then
    return {R_NONE}
end
local ids = {}
for _, index in ipairs({':b', ':s', ':0', ':1'}) do
    local some = #ids < MOST and call('ZRANGE', l.key .. index, 0, MOST - #ids - 1) or {}
    for _, member in ipairs(some) do
        ids[#ids + 1] = (index == ':b' or index == ':s') and member or id_of(member)
    end
end
for _, id in ipairs(ids) do
    local j = M.job(id)
    -- The end of one may have moved another on.
    if j and j.st < ACTIVE then
        M.end_waiting(j, CANCELLED, {A[2], A[3]})
        n = n + 1
    end
end
return done(R_OK, n, #ids == MOST and 1 or 0)
